// y := A' (A x).
#include "polybench.h"

enum { M = SIZE(38, 116, 390, 1900), N = SIZE(42, 124, 410, 2100) };

static double A[M][N], x[N], y[N], Ax[M];

static void init(void) {
    FOR(j, 0, N) x[j] = 1.0 + (double)j / N;
    FOR(i, 0, M) FOR(j, 0, N) A[i][j] = (double)((i + j) % N) / (5 * M);
}

static void kernel(void) {
    FOR(j, 0, N) y[j] = 0.0;
    FOR(i, 0, M) {
        Ax[i] = 0.0;
        FOR(j, 0, N) Ax[i] += A[i][j] * x[j];
        FOR(j, 0, N) y[j] += A[i][j] * Ax[i];
    }
}

static void live_out(void) {
    FOR(j, 0, N) see(y[j]);
}
