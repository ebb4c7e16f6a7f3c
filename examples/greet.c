// A first program of one's own: arguments, environment, standard input, an exit status.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *greeting = getenv("GREETING");
    char name[80];
    printf("Who are you? ");
    if (argc > 1) {
        snprintf(name, sizeof name, "%s", argv[1]);
        puts(name);
    } else if (fgets(name, sizeof name, stdin)) {
        name[strcspn(name, "\n")] = 0;
    } else {
        fputs("nobody there\n", stderr);
        return 3;
    }
    printf("%s, %s!\n", greeting ? greeting : "Hello", name);
    return 0;
}
