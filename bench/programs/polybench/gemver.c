// A := A + u1 v1' + u2 v2', x := beta A' y + z, w := alpha A x.
#include "polybench.h"

enum { N = SIZE(40, 120, 400, 2000) };

static double A[N][N], u1[N], v1[N], u2[N], v2[N], w[N], x[N], y[N], z[N];
static const double alpha = 1.5, beta = 1.2;

static void init(void) {
    FOR(i, 0, N) {
        double part = (double)(i + 1) / N;
        u1[i] = i;
        u2[i] = part / 2.0;
        v1[i] = part / 4.0;
        v2[i] = part / 6.0;
        y[i] = part / 8.0;
        z[i] = part / 9.0;
        x[i] = 0.0;
        w[i] = 0.0;
        FOR(j, 0, N) A[i][j] = (double)(i * j % N) / N;
    }
}

static void kernel(void) {
    FOR(i, 0, N) FOR(j, 0, N) A[i][j] += u1[i] * v1[j] + u2[i] * v2[j];
    FOR(i, 0, N) FOR(j, 0, N) x[i] += beta * A[j][i] * y[j];
    FOR(i, 0, N) x[i] += z[i];
    FOR(i, 0, N) FOR(j, 0, N) w[i] += alpha * A[i][j] * x[j];
}

static void live_out(void) {
    FOR(i, 0, N) see(w[i]);
}
