// C := alpha A B' + alpha B A' + beta C, the lower triangle.
#include "polybench.h"

enum { M = SIZE(20, 60, 200, 1000), N = SIZE(30, 80, 240, 1200) };

static double A[N][M], B[N][M], C[N][N];
static const double alpha = 1.5, beta = 1.2;

static void init(void) {
    FOR(i, 0, N) FOR(k, 0, M) {
        A[i][k] = (double)((i * k + 1) % N) / N;
        B[i][k] = (double)((i * k + 2) % M) / M;
    }
    FOR(i, 0, N) FOR(j, 0, N) C[i][j] = (double)((i * j + 3) % N) / M;
}

static void kernel(void) {
    FOR(i, 0, N) {
        FOR(j, 0, i + 1) C[i][j] *= beta;
        FOR(k, 0, M) FOR(j, 0, i + 1) C[i][j] += A[j][k] * alpha * B[i][k] + B[j][k] * alpha * A[i][k];
    }
}

static void live_out(void) {
    FOR(i, 0, N) FOR(j, 0, N) see(C[i][j]);
}
