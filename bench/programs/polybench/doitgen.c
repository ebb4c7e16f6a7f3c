// A[r][q][.] := A[r][q][.] C4: multi-resolution analysis.
#include "polybench.h"

enum { NQ = SIZE(8, 20, 40, 140), NR = SIZE(10, 25, 50, 150), NP = SIZE(12, 30, 60, 160) };

static double A[NR][NQ][NP], C4[NP][NP], row[NP];

static void init(void) {
    FOR(r, 0, NR) FOR(q, 0, NQ) FOR(p, 0, NP) A[r][q][p] = (double)((r * q + p) % NP) / NP;
    FOR(s, 0, NP) FOR(p, 0, NP) C4[s][p] = (double)(s * p % NP) / NP;
}

static void kernel(void) {
    FOR(r, 0, NR) FOR(q, 0, NQ) {
        FOR(p, 0, NP) {
            row[p] = 0.0;
            FOR(s, 0, NP) row[p] += A[r][q][s] * C4[s][p];
        }
        FOR(p, 0, NP) A[r][q][p] = row[p];
    }
}

static void live_out(void) {
    FOR(r, 0, NR) FOR(q, 0, NQ) FOR(p, 0, NP) see(A[r][q][p]);
}
