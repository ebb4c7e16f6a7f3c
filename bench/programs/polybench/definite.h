// A positive definite matrix: what cholesky, lu and ludcmp factor.
enum { N = SIZE(40, 120, 400, 2000) };

static double A[N][N];

static double below(int j) {
    return 1.0 - (double)j / N;
}

// A := L L' of a lower triangular L with ones on its diagonal and `below(j)` in its column j: a sum of squares up to the
// smaller index, so that making it takes no multiplication of matrices.
static void definite(void) {
    FOR(i, 0, N) {
        double squares = 0.0;
        FOR(j, 0, i) {
            A[i][j] = A[j][i] = squares + below(j);
            squares += below(j) * below(j);
        }
        A[i][i] = squares + 1.0;
    }
}

#ifndef OWN_INIT
static void init(void) {
    definite();
}
#endif
