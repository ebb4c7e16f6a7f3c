// Nussinov's prediction of RNA folding by dynamic programming; integers, as in the suite.
#include "polybench.h"

enum { N = SIZE(60, 180, 500, 2500) };

static char sequence[N];
static int table[N][N];

static int larger(int a, int b) {
    return a >= b ? a : b;
}

static int match(int a, int b) {
    return a + b == 3;
}

static void init(void) {
    FOR(i, 0, N) sequence[i] = (char)((i + 1) % 4);
    FOR(i, 0, N) FOR(j, 0, N) table[i][j] = 0;
}

static void kernel(void) {
    for (int i = N - 1; i >= 0; i--) FOR(j, i + 1, N) {
        table[i][j] = larger(table[i][j], table[i][j - 1]);
        if (i + 1 < N) table[i][j] = larger(table[i][j], table[i + 1][j]);
        if (i + 1 < N) {
            int pair = i < j - 1 ? match(sequence[i], sequence[j]) : 0;
            table[i][j] = larger(table[i][j], table[i + 1][j - 1] + pair);
        }
        FOR(k, i + 1, j) table[i][j] = larger(table[i][j], table[i][k] + table[k + 1][j]);
    }
}

static void live_out(void) {
    FOR(i, 0, N) FOR(j, i, N) see(table[i][j]);
}
