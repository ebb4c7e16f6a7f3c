// Solves a Toeplitz system by Levinson and Durbin's recursion.
#include "polybench.h"

enum { N = SIZE(40, 120, 400, 2000) };

static double r[N], y[N], z[N];

static void init(void) {
    FOR(i, 0, N) r[i] = N + 1 - i;
}

static void kernel(void) {
    double alpha = -r[0], beta = 1.0;
    y[0] = -r[0];
    FOR(k, 1, N) {
        beta *= 1.0 - alpha * alpha;
        double inner = 0.0;
        FOR(i, 0, k) inner += r[k - i - 1] * y[i];
        alpha = -(r[k] + inner) / beta;
        FOR(i, 0, k) z[i] = y[i] + alpha * y[k - i - 1];
        FOR(i, 0, k) y[i] = z[i];
        y[k] = alpha;
    }
}

static void live_out(void) {
    FOR(i, 0, N) see(y[i]);
}
