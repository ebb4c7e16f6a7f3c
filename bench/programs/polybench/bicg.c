// s := A' r, q := A p: the two products of the biconjugate gradient method.
#include "polybench.h"

enum { M = SIZE(38, 116, 390, 1900), N = SIZE(42, 124, 410, 2100) };

static double A[N][M], r[N], q[N], s[M], p[M];

static void init(void) {
    FOR(j, 0, M) p[j] = (double)(j % M) / M;
    FOR(i, 0, N) {
        r[i] = (double)(i % N) / N;
        FOR(j, 0, M) A[i][j] = (double)(i * (j + 1) % N) / N;
    }
}

static void kernel(void) {
    FOR(j, 0, M) s[j] = 0.0;
    FOR(i, 0, N) {
        q[i] = 0.0;
        FOR(j, 0, M) {
            s[j] += r[i] * A[i][j];
            q[i] += A[i][j] * p[j];
        }
    }
}

static void live_out(void) {
    FOR(j, 0, M) see(s[j]);
    FOR(i, 0, N) see(q[i]);
}
