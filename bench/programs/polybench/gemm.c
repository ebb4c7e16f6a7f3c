// C := alpha A B + beta C.
#include "polybench.h"

enum { NI = SIZE(20, 60, 200, 1000), NJ = SIZE(25, 70, 220, 1100), NK = SIZE(30, 80, 240, 1200) };

static double A[NI][NK], B[NK][NJ], C[NI][NJ];
static const double alpha = 1.5, beta = 1.2;

static void init(void) {
    FOR(i, 0, NI) FOR(j, 0, NJ) C[i][j] = (double)((i * j + 1) % NI) / NI;
    FOR(i, 0, NI) FOR(k, 0, NK) A[i][k] = (double)(i * (k + 1) % NK) / NK;
    FOR(k, 0, NK) FOR(j, 0, NJ) B[k][j] = (double)(k * (j + 2) % NJ) / NJ;
}

static void kernel(void) {
    FOR(i, 0, NI) {
        FOR(j, 0, NJ) C[i][j] *= beta;
        FOR(k, 0, NK) FOR(j, 0, NJ) C[i][j] += alpha * A[i][k] * B[k][j];
    }
}

static void live_out(void) {
    FOR(i, 0, NI) FOR(j, 0, NJ) see(C[i][j]);
}
