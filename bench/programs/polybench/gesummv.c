// y := alpha A x + beta B x.
#include "polybench.h"

enum { N = SIZE(30, 90, 250, 1300) };

static double A[N][N], B[N][N], x[N], y[N];
static const double alpha = 1.5, beta = 1.2;

static void init(void) {
    FOR(i, 0, N) {
        x[i] = (double)(i % N) / N;
        FOR(j, 0, N) {
            A[i][j] = (double)((i * j + 1) % N) / N;
            B[i][j] = (double)((i * j + 2) % N) / N;
        }
    }
}

static void kernel(void) {
    FOR(i, 0, N) {
        double a = 0.0, b = 0.0;
        FOR(j, 0, N) {
            a += A[i][j] * x[j];
            b += B[i][j] * x[j];
        }
        y[i] = alpha * a + beta * b;
    }
}

static void live_out(void) {
    FOR(i, 0, N) see(y[i]);
}
