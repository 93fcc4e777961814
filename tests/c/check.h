/*
 * check.h - what both clients share: steps that are told as they happen, and the way out.
 *
 * A step prints one line. The first one that fails ends the program with exit code 1; a command
 * line that is not understood ends it with 2.
 */
#ifndef CBT_CHECK_H
#define CBT_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vixDiskLib.h"

/* Ends the program over a call that answered something else than it should. */
static void check_code(const char *step, VixError answer, VixError wanted)
{
    char *text;

    if (VIX_ERROR_CODE(answer) == wanted) {
        printf("%s: %lu\n", step, (unsigned long)wanted);
        return;
    }
    text = VixDiskLib_GetErrorText(answer, NULL);
    fprintf(stderr, "%s answered %lu (%s), not %lu\n", step, (unsigned long)answer,
            text != NULL ? text : "no text", (unsigned long)wanted);
    VixDiskLib_FreeErrorText(text);
    exit(1);
}

/* Ends the program over something that is not as it should be. */
static void check_that(const char *what, int is_so)
{
    if (!is_so) {
        fprintf(stderr, "not so: %s\n", what);
        exit(1);
    }
    printf("%s\n", what);
}

/* The value of an option. */
static char *option(int argc, char **argv, const char *name)
{
    int i;

    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], name) == 0) {
            return argv[i + 1];
        }
    }
    fprintf(stderr, "option %s is missing\n", name);
    exit(2);
}

/* The password comes by the environment: everybody may read a command line. */
static char *password(void)
{
    char *value = getenv("CLIENT_PASSWORD");

    if (value == NULL) {
        fprintf(stderr, "CLIENT_PASSWORD is not set\n");
        exit(2);
    }
    return value;
}

/* One line of the library's log, on standard error. */
static void log_line(const char *format, va_list arguments)
{
    vfprintf(stderr, format, arguments);
}

#endif
