// B := alpha A' B with A lower triangular, its diagonal being ones.
#include "polybench.h"

enum { M = SIZE(20, 60, 200, 1000), N = SIZE(30, 80, 240, 1200) };

static double A[M][M], B[M][N];
static const double alpha = 1.5;

static void init(void) {
    FOR(i, 0, M) {
        FOR(j, 0, i) A[i][j] = (double)((i + j) % M) / M;
        A[i][i] = 1.0;
        FOR(j, 0, N) B[i][j] = (double)((N + i - j) % N) / N;
    }
}

static void kernel(void) {
    FOR(i, 0, M) FOR(j, 0, N) {
        FOR(k, i + 1, M) B[i][j] += A[k][i] * B[k][j];
        B[i][j] *= alpha;
    }
}

static void live_out(void) {
    FOR(i, 0, M) FOR(j, 0, N) see(B[i][j]);
}
