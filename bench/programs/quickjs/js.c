// Runs the JavaScript on standard input in QuickJS: no modules, no files, one function `print`.
#include <stdio.h>
#include <stdlib.h>

#include "quickjs.h"

static JSValue print(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
    (void)self;
    for (int i = 0; i < count; i++) {
        const char *text = JS_ToCString(context, values[i]);
        if (!text) return JS_EXCEPTION;
        printf(i ? " %s" : "%s", text);
        JS_FreeCString(context, text);
    }
    putchar('\n');
    return JS_UNDEFINED;
}

static char *input(size_t *length) {
    size_t room = 1 << 16;
    char *text = malloc(room);
    *length = 0;
    while (text) {
        size_t got = fread(text + *length, 1, room - *length - 1, stdin);
        if (got == 0) break;
        *length += got;
        if (room - *length == 1) text = realloc(text, room *= 2);
    }
    if (text) text[*length] = 0;
    return text;
}

int main(void) {
    size_t length;
    char *text = input(&length);
    JSRuntime *runtime = JS_NewRuntime();
    JSContext *context = runtime ? JS_NewContext(runtime) : NULL;
    if (!text || !context) return 1;
    JSValue global = JS_GetGlobalObject(context);
    JS_SetPropertyStr(context, global, "print", JS_NewCFunction(context, print, "print", 1));
    JSValue result = JS_Eval(context, text, length, "input.js", JS_EVAL_TYPE_GLOBAL);
    if (JS_IsException(result)) {
        JSValue error = JS_GetException(context);
        const char *said = JS_ToCString(context, error);
        fprintf(stderr, "%s\n", said ? said : "exception");
        return 1;
    }
    return 0;
}
