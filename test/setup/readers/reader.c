/* For each line of its input, one line of what it finds in a ccache, by whichever libkrb5 it is linked to:
 *
 *     reader CCACHE
 *
 * the principal, and behind a tab the services with a hash (FNV-1a) of each ticket. `-` stands where there is no ccache: each
 * half is read of the file as it is at that moment. */
#include <errno.h>
#include <krb5.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static krb5_context context;

static int is_absent(krb5_error_code code)
{
    return code == ENOENT || code == KRB5_FCC_NOFILE || code == KRB5_CC_NOTFOUND;
}

/* What goes wrong is printed in the place of what is read. */
static int failed(krb5_error_code code, const char *step)
{
    if (is_absent(code))
        fputs("-", stdout);
    else if (code != 0)
        printf("%s: %d %s", step, (int)code, krb5_get_error_message(context, code));
    return code != 0;
}

static void print_name(krb5_principal principal)
{
    char *name = NULL;
    if (!failed(krb5_unparse_name(context, principal, &name), "unparse"))
        fputs(name, stdout);
    free(name);
}

static void print_principal(krb5_ccache ccache)
{
    krb5_principal principal;
    if (failed(krb5_cc_get_principal(context, ccache, &principal), "principal"))
        return;
    print_name(principal);
    krb5_free_principal(context, principal);
}

static void print_tickets(krb5_ccache ccache)
{
    krb5_cc_cursor cursor;
    krb5_creds creds;
    krb5_error_code code;
    if (failed(krb5_cc_start_seq_get(context, ccache, &cursor), "begin"))
        return;
    while ((code = krb5_cc_next_cred(context, ccache, &cursor, &creds)) == 0) {
        uint32_t hash = 2166136261u;
        for (size_t i = 0; i < creds.ticket.length; i++)
            hash = (hash ^ ((unsigned char *)creds.ticket.data)[i]) * 16777619u;
        print_name(creds.server);
        printf("#%08x ", hash);
        krb5_free_cred_contents(context, &creds);
    }
    if (code != KRB5_CC_END)
        failed(code, "next");
    krb5_cc_end_seq_get(context, ccache, &cursor);
}

int main(int argc, char **argv)
{
    char line[16];
    if (argc != 2 || krb5_init_context(&context) != 0)
        return 2;
    while (fgets(line, sizeof line, stdin)) {
        krb5_ccache ccache;
        if (!failed(krb5_cc_resolve(context, argv[1], &ccache), "resolve")) {
            print_principal(ccache);
            fputs("\t", stdout);
            print_tickets(ccache);
            krb5_cc_close(context, ccache);
        }
        fputs("\n", stdout);
        fflush(stdout);
    }
    return 0;
}
