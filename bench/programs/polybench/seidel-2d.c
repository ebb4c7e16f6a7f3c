// A stencil of nine points, in place.
#include "polybench.h"

enum { T = SIZE(20, 40, 100, 500), N = SIZE(40, 120, 400, 2000) };

static double A[N][N];

static void init(void) {
    FOR(i, 0, N) FOR(j, 0, N) A[i][j] = ((double)i * (j + 2) + 2.0) / N;
}

static void kernel(void) {
    FOR(t, 0, T) FOR(i, 1, N - 1) FOR(j, 1, N - 1)
        A[i][j] = (A[i - 1][j - 1] + A[i - 1][j] + A[i - 1][j + 1] + A[i][j - 1] + A[i][j] + A[i][j + 1] +
                   A[i + 1][j - 1] + A[i + 1][j] + A[i + 1][j + 1]) /
                  9.0;
}

static void live_out(void) {
    FOR(i, 0, N) FOR(j, 0, N) see(A[i][j]);
}
