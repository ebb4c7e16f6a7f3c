// Solves A x = b by A = L U.
#include "polybench.h"
#define OWN_INIT
#include "definite.h"

static double b[N], x[N], y[N];

static void init(void) {
    FOR(i, 0, N) {
        x[i] = 0.0;
        y[i] = 0.0;
        b[i] = (double)(i + 1) / N / 2.0 + 4.0;
    }
    definite();
}

static void kernel(void) {
    FOR(i, 0, N) {
        FOR(j, 0, i) {
            double w = A[i][j];
            FOR(k, 0, j) w -= A[i][k] * A[k][j];
            A[i][j] = w / A[j][j];
        }
        FOR(j, i, N) {
            double w = A[i][j];
            FOR(k, 0, i) w -= A[i][k] * A[k][j];
            A[i][j] = w;
        }
    }
    FOR(i, 0, N) {
        double w = b[i];
        FOR(j, 0, i) w -= A[i][j] * y[j];
        y[i] = w;
    }
    for (int i = N - 1; i >= 0; i--) {
        double w = y[i];
        FOR(j, i + 1, N) w -= A[i][j] * x[j];
        x[i] = w / A[i][i];
    }
}

static void live_out(void) {
    FOR(i, 0, N) see(x[i]);
}
