// D := alpha A B C + beta D.
#include "polybench.h"

enum {
    NI = SIZE(16, 40, 180, 800),
    NJ = SIZE(18, 50, 190, 900),
    NK = SIZE(22, 70, 210, 1100),
    NL = SIZE(24, 80, 220, 1200)
};

static double A[NI][NK], B[NK][NJ], C[NJ][NL], D[NI][NL], AB[NI][NJ];
static const double alpha = 1.5, beta = 1.2;

static void init(void) {
    FOR(i, 0, NI) FOR(k, 0, NK) A[i][k] = (double)((i * k + 1) % NI) / NI;
    FOR(k, 0, NK) FOR(j, 0, NJ) B[k][j] = (double)(k * (j + 1) % NJ) / NJ;
    FOR(j, 0, NJ) FOR(l, 0, NL) C[j][l] = (double)((j * (l + 3) + 1) % NL) / NL;
    FOR(i, 0, NI) FOR(l, 0, NL) D[i][l] = (double)(i * (l + 2) % NK) / NK;
}

static void kernel(void) {
    FOR(i, 0, NI) FOR(j, 0, NJ) {
        AB[i][j] = 0.0;
        FOR(k, 0, NK) AB[i][j] += alpha * A[i][k] * B[k][j];
    }
    FOR(i, 0, NI) FOR(l, 0, NL) {
        D[i][l] *= beta;
        FOR(j, 0, NJ) D[i][l] += AB[i][j] * C[j][l];
    }
}

static void live_out(void) {
    FOR(i, 0, NI) FOR(l, 0, NL) see(D[i][l]);
}
