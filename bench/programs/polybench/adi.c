// Alternating directions, implicit: heat in two dimensions.
#include "polybench.h"

enum { T = SIZE(20, 40, 100, 500), N = SIZE(20, 60, 200, 1000) };

static double u[N][N], v[N][N], p[N][N], q[N][N];

static void init(void) {
    FOR(i, 0, N) FOR(j, 0, N) u[i][j] = (double)(i + N - j) / N;
}

static void kernel(void) {
    double dx = 1.0 / N, dy = 1.0 / N, dt = 1.0 / T;
    double mul1 = 2.0 * dt / (dx * dx), mul2 = dt / (dy * dy);
    double a = -mul1 / 2.0, b = 1.0 + mul1, c = a, d = -mul2 / 2.0, e = 1.0 + mul2, f = d;
    FOR(t, 0, T) {
        // Columns.
        FOR(i, 1, N - 1) {
            v[0][i] = 1.0;
            p[i][0] = 0.0;
            q[i][0] = v[0][i];
            FOR(j, 1, N - 1) {
                p[i][j] = -c / (a * p[i][j - 1] + b);
                q[i][j] = (-d * u[j][i - 1] + (1.0 + 2.0 * d) * u[j][i] - f * u[j][i + 1] - a * q[i][j - 1]) /
                          (a * p[i][j - 1] + b);
            }
            v[N - 1][i] = 1.0;
            for (int j = N - 2; j >= 1; j--) v[j][i] = p[i][j] * v[j + 1][i] + q[i][j];
        }
        // Rows.
        FOR(i, 1, N - 1) {
            u[i][0] = 1.0;
            p[i][0] = 0.0;
            q[i][0] = u[i][0];
            FOR(j, 1, N - 1) {
                p[i][j] = -f / (d * p[i][j - 1] + e);
                q[i][j] = (-a * v[i - 1][j] + (1.0 + 2.0 * a) * v[i][j] - c * v[i + 1][j] - d * q[i][j - 1]) /
                          (d * p[i][j - 1] + e);
            }
            u[i][N - 1] = 1.0;
            for (int j = N - 2; j >= 1; j--) u[i][j] = p[i][j] * u[i][j + 1] + q[i][j];
        }
    }
}

static void live_out(void) {
    FOR(i, 0, N) FOR(j, 0, N) see(u[i][j]);
}
