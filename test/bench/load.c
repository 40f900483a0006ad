/* Loads ccaches through libkrb5, of whatever type their names say, and prints how many operations a second it took.
 *
 *     load CCACHE CREDENTIALS SECONDS
 *
 * one JSON object, in which `stored` is how many credentials there were when ten times SECONDS were over, and the rates
 * are of storing them, looking one up, reading all, reading the principal.
 *
 *     load --walk CCACHE%d CCACHES SECONDS
 *
 * the rate of ccaches read of the collection of that type, each with its name and principal. */
#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static krb5_context context;

static void check(krb5_error_code error, const char *what)
{
    if (!error)
        return;
    fprintf(stderr, "%s: %s\n", what, krb5_get_error_message(context, error));
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static krb5_principal service(long number)
{
    char name[64];
    krb5_principal principal;
    snprintf(name, sizeof name, "host/%06ld.example.test@EXAMPLE.TEST", number);
    check(krb5_parse_name(context, name, &principal), "krb5_parse_name");
    return principal;
}

static void store(krb5_ccache ccache, krb5_principal client, long number)
{
    static unsigned char key[32], ticket[1000];
    krb5_creds creds;
    memset(&creds, 0, sizeof creds);
    creds.client = client;
    creds.server = service(number);
    creds.keyblock.enctype = ENCTYPE_AES256_CTS_HMAC_SHA1_96;
    creds.keyblock.length = sizeof key;
    creds.keyblock.contents = key;
    creds.times.authtime = creds.times.starttime = time(NULL);
    creds.times.endtime = creds.times.authtime + 36000;
    creds.ticket.length = sizeof ticket;
    creds.ticket.data = (char *)ticket;
    check(krb5_cc_store_cred(context, ccache, &creds), "krb5_cc_store_cred");
    krb5_free_principal(context, creds.server);
}

static void look_up(krb5_ccache ccache, krb5_principal client, long number)
{
    krb5_creds wanted, found;
    memset(&wanted, 0, sizeof wanted);
    wanted.client = client;
    wanted.server = service(number);
    check(krb5_cc_retrieve_cred(context, ccache, 0, &wanted, &found), "krb5_cc_retrieve_cred");
    krb5_free_cred_contents(context, &found);
    krb5_free_principal(context, wanted.server);
}

static long list(krb5_ccache ccache)
{
    krb5_cc_cursor cursor;
    krb5_creds creds;
    long count = 0;
    check(krb5_cc_start_seq_get(context, ccache, &cursor), "krb5_cc_start_seq_get");
    while (krb5_cc_next_cred(context, ccache, &cursor, &creds) == 0) {
        krb5_free_cred_contents(context, &creds);
        count++;
    }
    check(krb5_cc_end_seq_get(context, ccache, &cursor), "krb5_cc_end_seq_get");
    return count;
}

static void read_principal(krb5_ccache ccache)
{
    krb5_principal principal;
    check(krb5_cc_get_principal(context, ccache, &principal), "krb5_cc_get_principal");
    krb5_free_principal(context, principal);
}

static long walk(const char *type)
{
    krb5_cccol_cursor cursor;
    krb5_ccache ccache;
    long count = 0;
    check(krb5_cccol_cursor_new(context, &cursor), "krb5_cccol_cursor_new");
    while (krb5_cccol_cursor_next(context, cursor, &ccache) == 0 && ccache) {
        if (strcmp(krb5_cc_get_type(context, ccache), type) == 0) {
            char *name;
            check(krb5_cc_get_full_name(context, ccache, &name), "krb5_cc_get_full_name");
            krb5_free_string(context, name);
            read_principal(ccache);
            count++;
        }
        krb5_cc_close(context, ccache);
    }
    krb5_cccol_cursor_free(context, &cursor);
    return count;
}

static void measure_walk(const char *pattern, krb5_principal client, long ccaches, double seconds)
{
    krb5_ccache ccache;
    char name[256], type[32];
    long made = 0, read = 0, i;
    double began;
    snprintf(type, sizeof type, "%.*s", (int)strcspn(pattern, ":"), pattern);
    for (began = now(); made < ccaches && now() - began < 10 * seconds; made++) {
        snprintf(name, sizeof name, pattern, (int)made);
        check(krb5_cc_resolve(context, name, &ccache), "krb5_cc_resolve");
        check(krb5_cc_initialize(context, ccache, client), "krb5_cc_initialize");
        krb5_cc_close(context, ccache);
    }
    for (began = now(); read == 0 || now() - began < seconds;) {
        long found = walk(type);
        if (found == 0)
            break;
        read += found;
    }
    printf("{\"stored\": %ld, \"walk\": %.0f}\n", made, read / (now() - began));
    for (i = 0; i < made; i++) {
        snprintf(name, sizeof name, pattern, (int)i);
        check(krb5_cc_resolve(context, name, &ccache), "krb5_cc_resolve");
        krb5_cc_destroy(context, ccache);
    }
}

static void measure(const char *name, krb5_principal client, long wanted, double seconds)
{
    krb5_ccache ccache;
    long stored = 0, done, read;
    double began;
    check(krb5_cc_resolve(context, name, &ccache), "krb5_cc_resolve");
    check(krb5_cc_initialize(context, ccache, client), "krb5_cc_initialize");

    for (began = now(); stored < wanted && now() - began < 10 * seconds; stored++)
        store(ccache, client, stored);
    printf("{\"stored\": %ld, \"store\": %.0f", stored, stored / (now() - began));

    srand(1);
    for (began = now(), done = 0; done == 0 || now() - began < seconds; done++)
        look_up(ccache, client, rand() % stored);
    printf(", \"lookUp\": %.0f", done / (now() - began));

    for (began = now(), read = 0; read == 0 || now() - began < seconds;)
        read += list(ccache);
    printf(", \"list\": %.0f", read / (now() - began));

    for (began = now(), done = 0; done == 0 || now() - began < seconds; done++)
        read_principal(ccache);
    printf(", \"principal\": %.0f}\n", done / (now() - began));

    check(krb5_cc_destroy(context, ccache), "krb5_cc_destroy");
}

int main(int argc, char **argv)
{
    krb5_principal client;
    int walks = argc > 1 && strcmp(argv[1], "--walk") == 0;
    char **args = argv + 1 + walks;
    if (argc != 4 + walks) {
        fprintf(stderr, "usage: load CCACHE CREDENTIALS SECONDS | load --walk CCACHE%%d CCACHES SECONDS\n");
        return 2;
    }
    check(krb5_init_context(&context), "krb5_init_context");
    check(krb5_parse_name(context, "alice@EXAMPLE.TEST", &client), "krb5_parse_name");
    if (walks)
        measure_walk(args[0], client, atol(args[1]), atof(args[2]));
    else
        measure(args[0], client, atol(args[1]), atof(args[2]));
    return 0;
}
