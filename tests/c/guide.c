/*
 * guide.c - the calls that the example of VMware's Programming Guide makes, one after the other,
 * with its customary values: interface 1.0, port 902, no snapshot, a buffer of one byte for the
 * list of metadata keys.
 *
 * Some of these values are historic: doc/vddk-notes.md says which ("The guide's example").
 *
 *   guide --libdir KIT --server HOST --user NAME --thumbprint SHA1 --vm moref=MOREF --disk PATH
 *
 * The password stands in CLIENT_PASSWORD. The VM must be off: no snapshot is named.
 */
#include "check.h"

#define SECTORS 4

/* Tells how many keys there are, and fails over a list that does not end as it should. */
static void count_keys(const char *keys, size_t length)
{
    size_t at = 0, count = 0;

    while (at < length && keys[at] != '\0') {
        at += strlen(keys + at) + 1;
        count++;
    }
    check_that("the list of keys ends in an empty one", at + 1 == length);
    printf("metadata keys: %lu\n", (unsigned long)count);
}

static void read_keys(VixDiskLibHandle disk)
{
    char one_byte[1];
    size_t needed = 0;
    char *keys;

    check_code("GetMetadataKeys with one byte",
               VixDiskLib_GetMetadataKeys(disk, one_byte, sizeof one_byte, &needed),
               VIX_E_BUFFER_TOOSMALL);
    check_that("the size needed is told", needed > 1);
    keys = (char *)malloc(needed);
    check_that("there is memory", keys != NULL);
    check_code("GetMetadataKeys with enough",
               VixDiskLib_GetMetadataKeys(disk, keys, needed, NULL), VIX_OK);
    count_keys(keys, needed);
    free(keys);
}

int main(int argc, char **argv)
{
    VixDiskLibConnectParams params;
    VixDiskLibConnection connection = NULL;
    VixDiskLibHandle disk = NULL;
    uint8 sectors[SECTORS * VIXDISKLIB_SECTOR_SIZE];

    /* One structure for the whole program, on the stack: the guide's way, without
     * AllocateConnectParams. */
    memset(&params, 0, sizeof params);
    params.vmxSpec = option(argc, argv, "--vm");
    params.serverName = option(argc, argv, "--server");
    params.credType = VIXDISKLIB_CRED_UID;
    params.creds.uid.userName = option(argc, argv, "--user");
    params.creds.uid.password = password();
    params.thumbPrint = option(argc, argv, "--thumbprint");
    params.port = 902;

    check_code("Init 1.0",
               VixDiskLib_Init(1, 0, log_line, log_line, log_line,
                               option(argc, argv, "--libdir")),
               VIX_OK);
    check_code("Connect", VixDiskLib_Connect(&params, &connection), VIX_OK);
    check_code("Open",
               VixDiskLib_Open(connection, option(argc, argv, "--disk"),
                               VIXDISKLIB_FLAG_OPEN_READ_ONLY, &disk),
               VIX_OK);
    check_code("Read", VixDiskLib_Read(disk, 0, SECTORS, sectors), VIX_OK);
    printf("first byte: %u\n", (unsigned)sectors[0]);
    read_keys(disk);
    check_code("Close", VixDiskLib_Close(disk), VIX_OK);
    check_code("Disconnect", VixDiskLib_Disconnect(connection), VIX_OK);
    VixDiskLib_Exit();
    printf("done\n");
    return 0;
}
