/* Times what a program pays that logs in somewhere by GSSAPI, with a ticket in the default ccache.
 *
 *     context SERVICE@HOST SECONDS
 *
 * one JSON object: the median of the microseconds of one gss_init_sec_context, each with the default credential, as curl
 * and ssh have it. */
#include <gssapi/gssapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static int compare(const void *one, const void *other)
{
    double difference = *(const double *)one - *(const double *)other;
    return (difference > 0) - (difference < 0);
}

static void check(OM_uint32 major, OM_uint32 minor, const char *what)
{
    gss_buffer_desc text;
    OM_uint32 ignored, more = 0;
    if (!GSS_ERROR(major))
        return;
    gss_display_status(&ignored, minor, GSS_C_MECH_CODE, GSS_C_NO_OID, &more, &text);
    fprintf(stderr, "%s: %.*s\n", what, (int)text.length, (char *)text.value);
    exit(1);
}

int main(int argc, char **argv)
{
    enum { MOST = 100000 };
    static double times[MOST];
    gss_buffer_desc name, token;
    gss_name_t target;
    OM_uint32 major, minor;
    double began;
    int count = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: context SERVICE@HOST SECONDS\n");
        return 2;
    }
    name.value = argv[1];
    name.length = strlen(argv[1]);
    major = gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &target);
    check(major, minor, "gss_import_name");
    for (began = now(); count < MOST && (count < 3 || now() - began < atof(argv[2]) * 1e6); count++) {
        gss_ctx_id_t context = GSS_C_NO_CONTEXT;
        double start = now();
        major = gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &context, target, GSS_C_NO_OID, GSS_C_MUTUAL_FLAG, 0,
                                     GSS_C_NO_CHANNEL_BINDINGS, GSS_C_NO_BUFFER, NULL, &token, NULL, NULL);
        check(major, minor, "gss_init_sec_context");
        times[count] = now() - start;
        gss_release_buffer(&minor, &token);
        gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
    }
    qsort(times, count, sizeof *times, compare);
    printf("{\"median\": %.1f}\n", times[count / 2]);
    return 0;
}
