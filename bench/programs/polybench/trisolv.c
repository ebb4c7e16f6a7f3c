// Solves L x = b with L lower triangular.
#include "polybench.h"

enum { N = SIZE(40, 120, 400, 2000) };

static double L[N][N], x[N], b[N];

static void init(void) {
    FOR(i, 0, N) {
        x[i] = -999.0;
        b[i] = i;
        FOR(j, 0, i + 1) L[i][j] = (double)(i + N - j + 1) * 2.0 / N;
    }
}

static void kernel(void) {
    FOR(i, 0, N) {
        x[i] = b[i];
        FOR(j, 0, i) x[i] -= L[i][j] * x[j];
        x[i] /= L[i][i];
    }
}

static void live_out(void) {
    FOR(i, 0, N) see(x[i]);
}
