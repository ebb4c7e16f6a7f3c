// x1 := x1 + A y, x2 := x2 + A' z.
#include "polybench.h"

enum { N = SIZE(40, 120, 400, 2000) };

static double A[N][N], x1[N], x2[N], y[N], z[N];

static void init(void) {
    FOR(i, 0, N) {
        x1[i] = (double)(i % N) / N;
        x2[i] = (double)((i + 1) % N) / N;
        y[i] = (double)((i + 3) % N) / N;
        z[i] = (double)((i + 4) % N) / N;
        FOR(j, 0, N) A[i][j] = (double)(i * j % N) / N;
    }
}

static void kernel(void) {
    FOR(i, 0, N) FOR(j, 0, N) x1[i] += A[i][j] * y[j];
    FOR(i, 0, N) FOR(j, 0, N) x2[i] += A[j][i] * z[j];
}

static void live_out(void) {
    FOR(i, 0, N) see(x1[i]);
    FOR(i, 0, N) see(x2[i]);
}
