// C := alpha A B + beta C with A symmetric, its lower triangle stored.
#include "polybench.h"

enum { M = SIZE(20, 60, 200, 1000), N = SIZE(30, 80, 240, 1200) };

static double A[M][M], B[M][N], C[M][N];
static const double alpha = 1.5, beta = 1.2;

static void init(void) {
    FOR(i, 0, M) FOR(j, 0, N) {
        C[i][j] = (double)((i + j) % 100) / M;
        B[i][j] = (double)((N + i - j) % 100) / M;
    }
    FOR(i, 0, M) FOR(j, 0, M) A[i][j] = j <= i ? (double)((i + j) % 100) / M : -999.0;
}

static void kernel(void) {
    FOR(i, 0, M) FOR(j, 0, N) {
        double mirrored = 0.0;
        FOR(k, 0, i) {
            C[k][j] += alpha * B[i][j] * A[i][k];
            mirrored += B[k][j] * A[i][k];
        }
        C[i][j] = beta * C[i][j] + alpha * B[i][j] * A[i][i] + alpha * mirrored;
    }
}

static void live_out(void) {
    FOR(i, 0, M) FOR(j, 0, N) see(C[i][j]);
}
