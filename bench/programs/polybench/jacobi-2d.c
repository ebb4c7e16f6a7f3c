// A stencil of five points.
#include "polybench.h"

enum { T = SIZE(20, 40, 100, 500), N = SIZE(30, 90, 250, 1300) };

static double A[N][N], B[N][N];

static void init(void) {
    FOR(i, 0, N) FOR(j, 0, N) {
        A[i][j] = ((double)i * (j + 2) + 2.0) / N;
        B[i][j] = ((double)i * (j + 3) + 3.0) / N;
    }
}

static void step(double from[N][N], double to[N][N]) {
    FOR(i, 1, N - 1) FOR(j, 1, N - 1)
        to[i][j] = 0.2 * (from[i][j] + from[i][j - 1] + from[i][j + 1] + from[i + 1][j] + from[i - 1][j]);
}

static void kernel(void) {
    FOR(t, 0, T) {
        step(A, B);
        step(B, A);
    }
}

static void live_out(void) {
    FOR(i, 0, N) FOR(j, 0, N) see(A[i][j]);
}
