// C := alpha A A' + beta C, the lower triangle.
#include "polybench.h"

enum { M = SIZE(20, 60, 200, 1000), N = SIZE(30, 80, 240, 1200) };

static double A[N][M], C[N][N];
static const double alpha = 1.5, beta = 1.2;

static void init(void) {
    FOR(i, 0, N) FOR(k, 0, M) A[i][k] = (double)((i * k + 1) % N) / N;
    FOR(i, 0, N) FOR(j, 0, N) C[i][j] = (double)((i * j + 2) % M) / M;
}

static void kernel(void) {
    FOR(i, 0, N) {
        FOR(j, 0, i + 1) C[i][j] *= beta;
        FOR(k, 0, M) FOR(j, 0, i + 1) C[i][j] += alpha * A[i][k] * A[j][k];
    }
}

static void live_out(void) {
    FOR(i, 0, N) FOR(j, 0, N) see(C[i][j]);
}
