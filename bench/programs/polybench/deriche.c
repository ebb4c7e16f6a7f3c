// Deriche's recursive edge filter: rows both ways, then columns both ways.
#include "polybench.h"

enum { W = SIZE(64, 192, 720, 4096), H = SIZE(64, 128, 480, 2160) };

static double in[W][H], out[W][H], forth[W][H], back[W][H];
static const double alpha = 0.25;

static void init(void) {
    FOR(i, 0, W) FOR(j, 0, H) in[i][j] = (double)((313 * i + 991 * j) % 65536) / 65535.0;
}

static void kernel(void) {
    double e = exp(-alpha);
    double k = (1.0 - e) * (1.0 - e) / (1.0 + 2.0 * alpha * e - exp(-2.0 * alpha));
    double a1 = k, a2 = k * e * (alpha - 1.0), a3 = k * e * (alpha + 1.0), a4 = -k * exp(-2.0 * alpha);
    double b1 = pow(2.0, -alpha), b2 = -exp(-2.0 * alpha);
    FOR(i, 0, W) {
        double y1 = 0.0, y2 = 0.0, x1 = 0.0;
        FOR(j, 0, H) {
            forth[i][j] = a1 * in[i][j] + a2 * x1 + b1 * y1 + b2 * y2;
            x1 = in[i][j];
            y2 = y1;
            y1 = forth[i][j];
        }
        double z1 = 0.0, z2 = 0.0, u1 = 0.0, u2 = 0.0;
        for (int j = H - 1; j >= 0; j--) {
            back[i][j] = a3 * u1 + a4 * u2 + b1 * z1 + b2 * z2;
            u2 = u1;
            u1 = in[i][j];
            z2 = z1;
            z1 = back[i][j];
        }
    }
    FOR(i, 0, W) FOR(j, 0, H) out[i][j] = forth[i][j] + back[i][j];
    FOR(j, 0, H) {
        double y1 = 0.0, y2 = 0.0, x1 = 0.0;
        FOR(i, 0, W) {
            forth[i][j] = a1 * out[i][j] + a2 * x1 + b1 * y1 + b2 * y2;
            x1 = out[i][j];
            y2 = y1;
            y1 = forth[i][j];
        }
    }
    FOR(j, 0, H) {
        double z1 = 0.0, z2 = 0.0, u1 = 0.0, u2 = 0.0;
        for (int i = W - 1; i >= 0; i--) {
            back[i][j] = a3 * u1 + a4 * u2 + b1 * z1 + b2 * z2;
            u2 = u1;
            u1 = out[i][j];
            z2 = z1;
            z1 = back[i][j];
        }
    }
    FOR(i, 0, W) FOR(j, 0, H) out[i][j] = forth[i][j] + back[i][j];
}

static void live_out(void) {
    FOR(i, 0, W) FOR(j, 0, H) see(out[i][j]);
}
