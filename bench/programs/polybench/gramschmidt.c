// A = Q R by the modified Gram-Schmidt process.
#include "polybench.h"

enum { M = SIZE(20, 60, 200, 1000), N = SIZE(30, 80, 240, 1200) };

static double A[M][N], Q[M][N], R[N][N];

static void init(void) {
    FOR(i, 0, M) FOR(j, 0, N) {
        A[i][j] = (double)(i * j % M) / M * 100.0 + 10.0;
        Q[i][j] = 0.0;
    }
    FOR(i, 0, N) FOR(j, 0, N) R[i][j] = 0.0;
}

static void kernel(void) {
    FOR(k, 0, N) {
        double norm = 0.0;
        FOR(i, 0, M) norm += A[i][k] * A[i][k];
        R[k][k] = sqrt(norm);
        FOR(i, 0, M) Q[i][k] = A[i][k] / R[k][k];
        FOR(j, k + 1, N) {
            R[k][j] = 0.0;
            FOR(i, 0, M) R[k][j] += Q[i][k] * A[i][j];
            FOR(i, 0, M) A[i][j] -= Q[i][k] * R[k][j];
        }
    }
}

// The columns past the rank are noise, which every order of additions makes anew.
static void live_out(void) {
    FOR(i, 0, 10) FOR(j, 0, N) see(R[i][j]);
    FOR(i, 0, M) FOR(j, 0, 10) see(Q[i][j]);
}
