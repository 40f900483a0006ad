/* Loads ccaches through libkrb5, of whatever type their names say, and prints how many operations a second it took.
 *
 *     load CCACHE CREDENTIALS SECONDS
 *
 * one JSON object, in which `stored` is how many credentials there were when ten times SECONDS were over, and the rates
 * are of storing them, looking one up, reading all, reading the principal.
 *
 *     load --walk CCACHE%d CCACHES SECONDS
 *
 * the rate of ccaches read of the collection of that type, each with its name and principal.
 *
 *     load --crowd CCACHE CLIENTS SECONDS
 *
 * the rate at which so many processes at once look up credentials of one ccache of 100.
 *
 *     load --fill CCACHE CREDENTIALS SECONDS
 *
 * leaves a ccache there, of as many as could be stored.
 *
 *     load --echo SOCKET BYTES SECONDS
 *     load --connect SOCKET BYTES SECONDS
 *
 * what a server could do at best that only echoes: so many bytes sent and read again, on one connection, or twice on each
 * of many.
 *
 *     load --request SOCKET COUNT SECONDS
 *
 * the median of the microseconds of a new connection, the smallest request of KCM and its reply; of COUNT at the most. */
#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

static krb5_ccache empty(const char *name, krb5_principal client)
{
    krb5_ccache ccache;
    check(krb5_cc_resolve(context, name, &ccache), "krb5_cc_resolve");
    check(krb5_cc_initialize(context, ccache, client), "krb5_cc_initialize");
    return ccache;
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
        krb5_cc_close(context, empty(name, client));
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

static long fill(krb5_ccache ccache, krb5_principal client, long wanted, double seconds)
{
    long stored = 0;
    double began = now();
    while (stored < wanted && now() - began < seconds)
        store(ccache, client, stored++);
    return stored;
}

static void measure_crowd(const char *name, krb5_principal client, long clients, double seconds)
{
    krb5_ccache ccache = empty(name, client);
    long stored = fill(ccache, client, 100, 10 * seconds), i, done = 0;
    long *counts = mmap(NULL, clients * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double began = now() + 0.05 + clients * 0.002;
    for (i = 0; i < clients; i++) {
        if (fork() == 0) {
            krb5_ccache own;
            krb5_init_context(&context);
            check(krb5_cc_resolve(context, name, &own), "krb5_cc_resolve");
            look_up(own, client, 0);
            while (now() < began)
                usleep(1000);
            for (srand(i); now() - began < seconds; counts[i]++)
                look_up(own, client, rand() % stored);
            _exit(0);
        }
    }
    while (wait(NULL) > 0)
        ;
    for (i = 0; i < clients; i++)
        done += counts[i];
    printf("{\"stored\": %ld, \"crowd\": %.0f}\n", clients, done / (now() - began));
    check(krb5_cc_destroy(context, ccache), "krb5_cc_destroy");
}

static void measure(const char *name, krb5_principal client, long wanted, double seconds)
{
    krb5_ccache ccache = empty(name, client);
    double began = now();
    long stored = fill(ccache, client, wanted, 10 * seconds), done, read;
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

static int connected(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (s < 0 || connect(s, (struct sockaddr *)&address, sizeof address) != 0) {
        perror(path);
        exit(1);
    }
    return s;
}

static void echo(int s, long bytes)
{
    static char buffer[65536];
    long read_so_far = 0;
    if (write(s, buffer, bytes) != bytes)
        exit(1);
    while (read_so_far < bytes) {
        long n = read(s, buffer, sizeof buffer);
        if (n <= 0)
            exit(1);
        read_so_far += n;
    }
}

static void measure_echo(const char *path, long bytes, double seconds, int each_connects)
{
    long done;
    int s = connected(path);
    double began = now();
    for (done = 0; done == 0 || now() - began < seconds; done++) {
        echo(s, bytes);
        if (each_connects) {
            echo(s, bytes);
            close(s);
            s = connected(path);
        }
    }
    printf("{\"stored\": 0, \"rate\": %.0f}\n", done / (now() - began));
}

static int compare(const void *one, const void *other)
{
    double difference = *(const double *)one - *(const double *)other;
    return (difference > 0) - (difference < 0);
}

/* GET_DEFAULT_CACHE, which each server of KCM has; the length is written apart, as libkrb5 does it. */
static void measure_request(const char *path, long count, double seconds)
{
    static const unsigned char request[8] = {0, 0, 0, 4, 2, 0, 0, 20};
    double *times = calloc(count, sizeof *times), began = now();
    long done;
    for (done = 0; done < count && (done == 0 || now() - began < seconds); done++) {
        unsigned char reply[4096];
        long got = 0, wanted = 4;
        double start = now();
        int s = connected(path);
        if (write(s, request, 4) != 4 || write(s, request + 4, 4) != 4)
            exit(1);
        while (got < wanted) {
            long n = read(s, reply + got, sizeof reply - got);
            if (n <= 0)
                exit(1);
            got += n;
            if (got >= 4)
                wanted = 4 + (reply[2] << 8 | reply[3]);
        }
        times[done] = (now() - start) * 1e6;
        close(s);
    }
    qsort(times, done, sizeof *times, compare);
    printf("{\"stored\": 0, \"median\": %.1f}\n", times[done / 2]);
}

int main(int argc, char **argv)
{
    krb5_principal client;
    const char *what = argc > 1 && strncmp(argv[1], "--", 2) == 0 ? argv[1] : "";
    char **args = argv + 1 + (*what != 0);
    if (argc != 4 + (*what != 0)) {
        fprintf(stderr, "usage: load [--walk | --crowd | --fill | --echo | --connect | --request] CCACHE COUNT SECONDS\n");
        return 2;
    }
    if (strcmp(what, "--request") == 0) {
        measure_request(args[0], atol(args[1]), atof(args[2]));
        return 0;
    }
    if (strcmp(what, "--echo") == 0 || strcmp(what, "--connect") == 0) {
        measure_echo(args[0], atol(args[1]), atof(args[2]), strcmp(what, "--connect") == 0);
        return 0;
    }
    check(krb5_init_context(&context), "krb5_init_context");
    check(krb5_parse_name(context, "alice@EXAMPLE.TEST", &client), "krb5_parse_name");
    if (strcmp(what, "--walk") == 0)
        measure_walk(args[0], client, atol(args[1]), atof(args[2]));
    else if (strcmp(what, "--crowd") == 0)
        measure_crowd(args[0], client, atol(args[1]), atof(args[2]));
    else if (strcmp(what, "--fill") == 0) {
        long stored = fill(empty(args[0], client), client, atol(args[1]), atof(args[2]));
        printf("{\"stored\": %ld}\n", stored);
    } else
        measure(args[0], client, atol(args[1]), atof(args[2]));
    return 0;
}
