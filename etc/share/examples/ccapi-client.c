/*
 * A CCAPI client in C99 and POSIX; see proto/CCAPI.md and proto/RENDEZVOUS.md. Build: cc -o ccapi-client ccapi-client.c
 *
 *   ccapi-client [-s SOCKET] list                             print ccaches and tickets
 *   ccapi-client [-s SOCKET] store CCACHE PRINCIPAL SERVICE   store a made-up ticket, good for an hour
 *   ccapi-client [-s SOCKET] wait                             wait until something changes
 */
#define _XOPEN_SOURCE 700
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CHANGE_TIME = 3, WAIT = 4, OPEN = 6, CREATE = 8, CCACHES = 11, NAME = 19, PRINCIPAL = 20,
       STORE = 22, CREDENTIALS = 24, NEXT_CCACHE = 37, NEXT_CREDENTIAL = 42 };
enum { ITERATOR_END = 201, CCACHE_GONE = 205, ITERATOR_GONE = 209, NO_CCACHE = 221 };
enum { V5 = 2, AES256 = 18, LONGEST_REQUEST = 65536, LONGEST_REPLY = 16 << 20 };

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* The two directions of a connection. */
static FILE *to, *from;

static void connect_to(int family, const void *address, socklen_t size, const char *what)
{
    int connection = socket(family, SOCK_STREAM, 0);
    if (connect(connection, address, size) != 0) fail("nothing listens: %s", what);
    to = fdopen(connection, "w");
    from = fdopen(dup(connection), "r");
    if (!to || !from) fail("out of memory");
}

/* ---- finding the worker ---- */

/* The path of our worker's socket, from the launcher on loopback. */
static char *ask_launcher(void)
{
    static char line[513];
    const char *port = getenv("CCAPI_PORT");
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port ? atoi(port) : 789) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect_to(AF_INET, &address, sizeof address, "the launcher on 127.0.0.1");
    fprintf(to, "CCAPI/1 uid=%lu\n", (unsigned long)geteuid());
    fflush(to);
    if (!fgets(line, sizeof line, from) || !strchr(line, '\n')) fail("the launcher did not answer");
    *strchr(line, '\n') = 0;
    if (strncmp(line, "CCAPI/1 ok path=/", 17) != 0) fail("the launcher answered: %s", line);
    fclose(to);
    fclose(from);
    return line + 16;
}

/* A directory above the socket's has to be root's or ours, and closed to other writers or sticky. */
static void check_above(const char *path)
{
    struct stat found;
    if (lstat(path, &found) != 0 || !S_ISDIR(found.st_mode)) fail("%s is not a directory", path);
    int is_open = (found.st_mode & 022) && !(found.st_mode & S_ISVTX);
    if ((found.st_uid != 0 && found.st_uid != geteuid()) || is_open) fail("%s is open to other users", path);
}

/* Connects to a socket if only we and root can have put it there (RENDEZVOUS.md, Checking the path). */
static void connect_to_worker(char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat found;
    char *slash = strrchr(path, '/');
    if (!slash || slash == path) fail("%s is not an absolute path of a socket", path);
    *slash = 0;
    if (lstat(path, &found) != 0 || S_ISLNK(found.st_mode)) fail("%s is missing, or a symbolic link", path);
    char *real = realpath(path, NULL);
    if (!real) fail("%s cannot be resolved", path);
    check_above("/");
    for (char *at = strchr(real + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = 0;
        check_above(real);
        *at = '/';
    }
    if (lstat(real, &found) != 0 || !S_ISDIR(found.st_mode) || found.st_uid != geteuid() || (found.st_mode & 0777) != 0700)
        fail("%s is not a directory of ours with mode 700", real);
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", real, slash + 1);
    if (length >= (int)sizeof address.sun_path) fail("%s/%s is longer than 107 bytes", real, slash + 1);
    free(real);
    connect_to(AF_UNIX, &address, sizeof address, address.sun_path);
}

/* ---- one request, one reply ---- */

/* The request that is being written, and the reply that is being read. */
static unsigned char request[LONGEST_REQUEST];
static const unsigned char *reply;
static size_t written, left;

/* Two strings, as they travel. */
struct identifier { unsigned char bytes[512]; size_t length; };

static const struct identifier uninitialised = { "\0\0\0\013NEEDS_SYNC\0\0\0\0\013NEEDS_SYNC", 30 };

static void put(const void *bytes, size_t length)
{
    if (length > sizeof request - written) fail("the request is too long");
    memcpy(request + written, bytes, length);
    written += length;
}

static void put_u32(uint32_t value) { value = htonl(value); put(&value, 4); }
static void put_time(uint32_t value) { put_u32(0); put_u32(value); }
static void put_string(const char *text) { put_u32(strlen(text) + 1); put(text, strlen(text) + 1); }
static void put_data(uint32_t type, const void *bytes, size_t length) { put_u32(type); put_u32(length); put(bytes, length); }

static const unsigned char *take(size_t length)
{
    if (length > left) fail("the worker's reply is too short");
    left -= length;
    reply += length;
    return reply - length;
}

static uint32_t take_u32(void) { uint32_t value; memcpy(&value, take(4), 4); return ntohl(value); }
static uint32_t take_time(void) { take_u32(); return take_u32(); }
static void skip_data(void) { take_u32(); take(take_u32()); }

static const char *take_string(void)
{
    uint32_t length = take_u32();
    const char *string = (const char *)take(length);
    if (length == 0 || string[length - 1] != 0) fail("the worker sent a string without its end");
    return string;
}

static struct identifier take_identifier(void)
{
    struct identifier identifier = { .length = left };
    const unsigned char *start = reply;
    take_string(), take_string();
    identifier.length -= left;
    if (identifier.length > sizeof identifier.bytes) fail("the worker sent a long identifier");
    memcpy(identifier.bytes, start, identifier.length);
    return identifier;
}

/* Begins a request; its fields are put behind it. */
static void begin(uint32_t number, const struct identifier *object)
{
    written = 0;
    put_u32(number);
    put(object->bytes, object->length);
}

/* Sends the request and reads its reply up to the results. Any error but these ends the program. */
static uint32_t ask(uint32_t one, uint32_t another, uint32_t third)
{
    static unsigned char *payload;
    uint32_t length = htonl(written), error;
    fwrite(&length, 4, 1, to);
    fwrite(request, written, 1, to);
    if (fflush(to) != 0 || fread(&length, 4, 1, from) != 1) fail("the worker closed the connection");
    left = ntohl(length);
    if (left < 4 || left > LONGEST_REPLY) fail("the worker sent a reply of %lu bytes", (unsigned long)left);
    free(payload);
    reply = payload = malloc(left);
    if (!payload || fread(payload, left, 1, from) != 1) fail("the reply cannot be read");
    error = take_u32();
    if (error != 0 && error != one && error != another && error != third) fail("the worker answered error %d", (int)error);
    return error;
}

static void succeed(void) { ask(0, 0, 0); }
static void call(uint32_t number, const struct identifier *object) { begin(number, object); succeed(); }

/* Asks an iterator for its next member; 0 at its end, and where it has gone with what it was over. */
static int next(uint32_t number, const struct identifier *iterator)
{
    begin(number, iterator);
    return ask(ITERATOR_END, CCACHE_GONE, ITERATOR_GONE) == 0;
}

/* ---- commands ---- */

static void print_credential(void)
{
    char text[32];
    take_identifier(), take_u32(), take_string(); /* its identifier, the version, the client */
    const char *service = take_string();
    skip_data(), take_time(), take_time(); /* key, auth time, start time */
    time_t end = take_time();
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime(&end));
    if (!strstr(service, "@X-CACHECONF:")) printf("  %s until %s\n", service, text);
}

static void list(void)
{
    call(CCACHES, &uninitialised);
    struct identifier ccaches = take_identifier();
    while (next(NEXT_CCACHE, &ccaches)) {
        struct identifier ccache = take_identifier();
        call(NAME, &ccache);
        printf("%s: ", take_string());
        begin(PRINCIPAL, &ccache);
        put_u32(V5);
        succeed();
        printf("%s\n", take_string());
        call(CREDENTIALS, &ccache);
        struct identifier credentials = take_identifier();
        while (next(NEXT_CREDENTIAL, &credentials)) print_credential();
    }
}

static void store(const char *name, const char *principal, const char *service)
{
    unsigned char key[32];
    FILE *random = fopen("/dev/urandom", "rb");
    if (!random || fread(key, sizeof key, 1, random) != 1) fail("/dev/urandom cannot be read");
    fclose(random);
    begin(OPEN, &uninitialised);
    put_string(name);
    if (ask(NO_CCACHE, 0, 0) == NO_CCACHE) {
        begin(CREATE, &uninitialised);
        put_string(name), put_u32(V5), put_string(principal);
        succeed();
    }
    struct identifier ccache = take_identifier();
    uint32_t now = time(NULL);
    begin(STORE, &ccache);
    put_u32(V5), put_string(principal), put_string(service);
    put_data(AES256, key, sizeof key);
    put_time(now), put_time(now), put_time(now + 3600), put_time(0); /* auth, start, end, renew till */
    put_u32(0), put_u32(0), put_u32(0); /* not user-to-user, no flags, no addresses */
    put_data(0, "made up", 7), put_data(0, "", 0); /* ticket, second ticket */
    put_u32(0); /* no authorization data */
    succeed();
}

static void wait_for_change(void)
{
    call(CHANGE_TIME, &uninitialised);
    uint32_t last = take_time();
    begin(WAIT, &uninitialised);
    put_time(last);
    succeed();
    printf("changed %lu\n", (unsigned long)(take_time() - last));
}

int main(int count, char **arguments)
{
    char *path = NULL;
    if (count > 2 && strcmp(arguments[1], "-s") == 0) {
        path = arguments[2];
        count -= 2;
        arguments += 2;
    }
    const char *command = count > 1 ? arguments[1] : "";
    int is_store = strcmp(command, "store") == 0, is_wait = strcmp(command, "wait") == 0;
    if (count != (is_store ? 5 : 2) || (!is_store && !is_wait && strcmp(command, "list") != 0))
        fail("usage: ccapi-client [-s SOCKET] list | store CCACHE PRINCIPAL SERVICE | wait");
    connect_to_worker(path ? path : ask_launcher());
    if (is_store) store(arguments[2], arguments[3], arguments[4]);
    else if (is_wait) wait_for_change();
    else list();
    return 0;
}
