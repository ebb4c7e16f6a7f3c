// Heat in three dimensions.
#include "polybench.h"

enum { T = SIZE(20, 40, 100, 500), N = SIZE(10, 20, 40, 120) };

static double A[N][N][N], B[N][N][N];

static void init(void) {
    FOR(i, 0, N) FOR(j, 0, N) FOR(k, 0, N) A[i][j][k] = B[i][j][k] = (double)(i + j + (N - k)) * 10.0 / N;
}

static void step(double from[N][N][N], double to[N][N][N]) {
    FOR(i, 1, N - 1) FOR(j, 1, N - 1) FOR(k, 1, N - 1) {
        double centre = from[i][j][k];
        to[i][j][k] = 0.125 * (from[i + 1][j][k] - 2.0 * centre + from[i - 1][j][k]) +
                      0.125 * (from[i][j + 1][k] - 2.0 * centre + from[i][j - 1][k]) +
                      0.125 * (from[i][j][k + 1] - 2.0 * centre + from[i][j][k - 1]) + centre;
    }
}

static void kernel(void) {
    FOR(t, 0, T) {
        step(A, B);
        step(B, A);
    }
}

static void live_out(void) {
    FOR(i, 0, N) FOR(j, 0, N) FOR(k, 0, N) see(A[i][j][k]);
}
