// G := (A B) (C D).
#include "polybench.h"

enum {
    NI = SIZE(16, 40, 180, 800),
    NJ = SIZE(18, 50, 190, 900),
    NK = SIZE(20, 60, 200, 1000),
    NL = SIZE(22, 70, 210, 1100),
    NM = SIZE(24, 80, 220, 1200)
};

static double A[NI][NK], B[NK][NJ], C[NJ][NM], D[NM][NL], E[NI][NJ], F[NJ][NL], G[NI][NL];

static void init(void) {
    FOR(i, 0, NI) FOR(k, 0, NK) A[i][k] = (double)((i * k + 1) % NI) / (5 * NI);
    FOR(k, 0, NK) FOR(j, 0, NJ) B[k][j] = (double)((k * (j + 1) + 2) % NJ) / (5 * NJ);
    FOR(j, 0, NJ) FOR(m, 0, NM) C[j][m] = (double)(j * (m + 3) % NL) / (5 * NL);
    FOR(m, 0, NM) FOR(l, 0, NL) D[m][l] = (double)((m * (l + 2) + 2) % NK) / (5 * NK);
}

static void kernel(void) {
    FOR(i, 0, NI) FOR(j, 0, NJ) {
        E[i][j] = 0.0;
        FOR(k, 0, NK) E[i][j] += A[i][k] * B[k][j];
    }
    FOR(j, 0, NJ) FOR(l, 0, NL) {
        F[j][l] = 0.0;
        FOR(m, 0, NM) F[j][l] += C[j][m] * D[m][l];
    }
    FOR(i, 0, NI) FOR(l, 0, NL) {
        G[i][l] = 0.0;
        FOR(j, 0, NJ) G[i][l] += E[i][j] * F[j][l];
    }
}

static void live_out(void) {
    FOR(i, 0, NI) FOR(l, 0, NL) see(G[i][l]);
}
