/*
 * client.c - a C program that uses every group of calls, on a disk of a VM and on a local one.
 *
 *   client --libdir KIT --server HOST --user NAME --thumbprint SHA1 --vm moref=MOREF
 *          --snapshot MOREF --disk PATH --sector NUMBER --local FILE
 *
 * The password stands in CLIENT_PASSWORD. Of the VM's disk, sector NUMBER and what lies around it
 * is read; FILE is made, written, read back and removed.
 */
#include "check.h"

#define IDENTITY "cbt-c-client"
#define LOCAL_SECTORS ((VixDiskLibSectorType)4096)
#define CHUNK ((VixDiskLibSectorType)VIXDISKLIB_MIN_CHUNK_SIZE)

/* ---- every function is there, with the type that the header gives it ------ */

typedef void (*AnyFunction)(void);

static const AnyFunction functions[] = {
    (AnyFunction)VixDiskLib_Init,
    (AnyFunction)VixDiskLib_InitEx,
    (AnyFunction)VixDiskLib_Exit,
    (AnyFunction)VixDiskLib_ListTransportModes,
    (AnyFunction)VixDiskLib_Cleanup,
    (AnyFunction)VixDiskLib_AllocateConnectParams,
    (AnyFunction)VixDiskLib_FreeConnectParams,
    (AnyFunction)VixDiskLib_GetConnectParams,
    (AnyFunction)VixDiskLib_Connect,
    (AnyFunction)VixDiskLib_ConnectEx,
    (AnyFunction)VixDiskLib_Disconnect,
    (AnyFunction)VixDiskLib_PrepareForAccess,
    (AnyFunction)VixDiskLib_EndAccess,
    (AnyFunction)VixDiskLib_Open,
    (AnyFunction)VixDiskLib_Close,
    (AnyFunction)VixDiskLib_GetInfo,
    (AnyFunction)VixDiskLib_FreeInfo,
    (AnyFunction)VixDiskLib_GetTransportMode,
    (AnyFunction)VixDiskLib_Read,
    (AnyFunction)VixDiskLib_Write,
    (AnyFunction)VixDiskLib_ReadAsync,
    (AnyFunction)VixDiskLib_WriteAsync,
    (AnyFunction)VixDiskLib_Flush,
    (AnyFunction)VixDiskLib_Wait,
    (AnyFunction)VixDiskLib_QueryAllocatedBlocks,
    (AnyFunction)VixDiskLib_FreeBlockList,
    (AnyFunction)VixDiskLib_ReadMetadata,
    (AnyFunction)VixDiskLib_WriteMetadata,
    (AnyFunction)VixDiskLib_GetMetadataKeys,
    (AnyFunction)VixDiskLib_Create,
    (AnyFunction)VixDiskLib_CreateChild,
    (AnyFunction)VixDiskLib_Clone,
    (AnyFunction)VixDiskLib_Grow,
    (AnyFunction)VixDiskLib_Shrink,
    (AnyFunction)VixDiskLib_Defragment,
    (AnyFunction)VixDiskLib_Rename,
    (AnyFunction)VixDiskLib_Unlink,
    (AnyFunction)VixDiskLib_Attach,
    (AnyFunction)VixDiskLib_IsAttachPossible,
    (AnyFunction)VixDiskLib_SpaceNeededForClone,
    (AnyFunction)VixDiskLib_CheckRepair,
    (AnyFunction)VixDiskLib_GetErrorText,
    (AnyFunction)VixDiskLib_FreeErrorText,
};

static void count_functions(void)
{
    size_t i, count = sizeof functions / sizeof functions[0];

    for (i = 0; i < count; i++) {
        if (functions[i] == NULL) {
            check_that("every function is there", FALSE);
        }
    }
    printf("functions: %lu\n", (unsigned long)count);
}

/* ---- reading and writing --------------------------------------------------- */

/* What one asynchronous request came to. */
typedef struct {
    int times; /* how often the callback ran */
    VixError result;
} Completion;

static void completed(void *data, VixError result)
{
    Completion *completion = (Completion *)data;

    completion->times++;
    completion->result = result;
}

static void check_completion(const char *step, const Completion *completion)
{
    check_code(step, completion->result, VIX_OK);
    check_that("its callback ran once", completion->times == 1);
}

/* Memory as the library likes it: whole sectors, on the boundary of a page. */
static uint8 *sector_buffer(VixDiskLibSectorType sectors)
{
    void *memory = NULL;

    if (posix_memalign(&memory, 4096, (size_t)sectors * VIXDISKLIB_SECTOR_SIZE) != 0) {
        check_that("there is memory", FALSE);
    }
    return (uint8 *)memory;
}

static VixDiskLibHandle open_disk(VixDiskLibConnection connection, const char *path,
                                  uint32 flags)
{
    VixDiskLibHandle disk = NULL;

    check_code("Open", VixDiskLib_Open(connection, path, flags, &disk), VIX_OK);
    return disk;
}

static void close_disk(VixDiskLibHandle disk)
{
    check_code("Close", VixDiskLib_Close(disk), VIX_OK);
}

static void read_async(VixDiskLibHandle disk, VixDiskLibSectorType start,
                       VixDiskLibSectorType sectors, uint8 *buffer)
{
    Completion completion = {0, VIX_E_FAIL};

    check_code("ReadAsync",
               VixDiskLib_ReadAsync(disk, start, sectors, buffer, completed, &completion),
               VIX_ASYNC);
    check_code("Wait", VixDiskLib_Wait(disk), VIX_OK);
    check_completion("ReadAsync came to", &completion);
}

/* Reads the same range both ways, each on a handle of its own: one handle must not do both. The
 * caller frees what it gets. */
static uint8 *read_both_ways(VixDiskLibConnection connection, const char *path,
                             VixDiskLibSectorType start, VixDiskLibSectorType sectors)
{
    uint8 *now = sector_buffer(sectors), *later = sector_buffer(sectors);
    VixDiskLibHandle disk = open_disk(connection, path, VIXDISKLIB_FLAG_OPEN_READ_ONLY);

    check_code("Read", VixDiskLib_Read(disk, start, sectors, now), VIX_OK);
    check_code("Write on a disk opened for reading",
               VixDiskLib_Write(disk, start, sectors, now), VIX_E_FILE_READ_ONLY);
    close_disk(disk);
    disk = open_disk(connection, path, VIXDISKLIB_FLAG_OPEN_READ_ONLY);
    read_async(disk, start, sectors, later);
    check_code("Read after ReadAsync", VixDiskLib_Read(disk, start, sectors, later),
               VIX_E_ASYNC_MIXEDMODE_UNSUPPORTED);
    close_disk(disk);
    check_that("both reads agree",
               memcmp(now, later, (size_t)sectors * VIXDISKLIB_SECTOR_SIZE) == 0);
    free(later);
    return now;
}

static void write_both_ways(VixDiskLibConnection connection, const char *path)
{
    uint8 *buffer = sector_buffer(CHUNK);
    Completion completion = {0, VIX_E_FAIL};
    VixDiskLibHandle disk = open_disk(connection, path, 0);

    memset(buffer, 0x5A, (size_t)CHUNK * VIXDISKLIB_SECTOR_SIZE);
    check_code("Write", VixDiskLib_Write(disk, 0, CHUNK, buffer), VIX_OK);
    check_code("Flush", VixDiskLib_Flush(disk), VIX_OK);
    close_disk(disk);
    disk = open_disk(connection, path, 0);
    memset(buffer, 0xA5, (size_t)CHUNK * VIXDISKLIB_SECTOR_SIZE);
    check_code("WriteAsync",
               VixDiskLib_WriteAsync(disk, 4 * CHUNK, CHUNK, buffer, completed, &completion),
               VIX_ASYNC);
    check_code("Wait", VixDiskLib_Wait(disk), VIX_OK);
    check_completion("WriteAsync came to", &completion);
    check_code("Flush", VixDiskLib_Flush(disk), VIX_OK);
    close_disk(disk);
    free(buffer);
}

/* ---- what a disk tells of itself -------------------------------------------- */

static VixDiskLibSectorType show_info(VixDiskLibHandle disk)
{
    VixDiskLibInfo *info = NULL;
    VixDiskLibSectorType capacity;

    check_code("GetInfo", VixDiskLib_GetInfo(disk, &info), VIX_OK);
    capacity = info->capacity;
    printf("capacity: %lu sectors, %d links, sectors of %u bytes\n", (unsigned long)capacity,
           info->numLinks, info->logicalSectorSize);
    VixDiskLib_FreeInfo(info);
    printf("transport: %s\n", VixDiskLib_GetTransportMode(disk));
    return capacity;
}

/* Prints the allocated runs of the whole chunks of a disk. */
static void show_blocks(VixDiskLibHandle disk, VixDiskLibSectorType capacity)
{
    VixDiskLibBlockList *list = NULL;
    uint32 i;

    check_code("QueryAllocatedBlocks",
               VixDiskLib_QueryAllocatedBlocks(disk, 0, capacity / CHUNK * CHUNK, CHUNK, &list),
               VIX_OK);
    for (i = 0; i < list->numBlocks; i++) {
        printf("allocated: %lu+%lu\n", (unsigned long)list->blocks[i].offset,
               (unsigned long)list->blocks[i].length);
    }
    check_code("FreeBlockList", VixDiskLib_FreeBlockList(list), VIX_OK);
    list = NULL;
    check_code("QueryAllocatedBlocks off the chunks",
               VixDiskLib_QueryAllocatedBlocks(disk, 1, CHUNK, CHUNK, &list),
               VIX_E_INVALID_ARG);
}

static void show_value(VixDiskLibHandle disk, const char *key)
{
    size_t needed = 0;
    char *value;

    check_code("ReadMetadata, the size",
               VixDiskLib_ReadMetadata(disk, key, NULL, 0, &needed), VIX_E_BUFFER_TOOSMALL);
    value = (char *)malloc(needed);
    check_that("there is memory", value != NULL);
    check_code("ReadMetadata", VixDiskLib_ReadMetadata(disk, key, value, needed, NULL), VIX_OK);
    check_that("the size counts the final NUL", strlen(value) + 1 == needed);
    printf("metadata %s = %s\n", key, value);
    free(value);
}

static void show_metadata(VixDiskLibHandle disk)
{
    size_t needed = 0;
    char *keys;
    const char *key;

    check_code("GetMetadataKeys, the size",
               VixDiskLib_GetMetadataKeys(disk, NULL, 0, &needed), VIX_E_BUFFER_TOOSMALL);
    keys = (char *)malloc(needed);
    check_that("there is memory", keys != NULL);
    check_code("GetMetadataKeys", VixDiskLib_GetMetadataKeys(disk, keys, needed, NULL), VIX_OK);
    for (key = keys; *key != '\0'; key += strlen(key) + 1) {
        show_value(disk, key);
    }
    check_code("ReadMetadata of an unknown key",
               VixDiskLib_ReadMetadata(disk, "no.such.key", NULL, 0, &needed),
               VIX_E_DISK_KEY_NOTFOUND);
    free(keys);
}

static void show_error_text(VixError error)
{
    char *text = VixDiskLib_GetErrorText(error, NULL);

    check_that("there is a text for the error", text != NULL && text[0] != '\0');
    printf("text of %lu: %s\n", (unsigned long)VIX_ERROR_CODE(error), text);
    VixDiskLib_FreeErrorText(text);
}

/* ---- the two rounds --------------------------------------------------------- */

/* What a disk tells of itself. */
static VixDiskLibSectorType show_disk(VixDiskLibConnection connection, const char *path)
{
    VixDiskLibHandle disk = open_disk(connection, path, VIXDISKLIB_FLAG_OPEN_READ_ONLY);
    VixDiskLibSectorType capacity = show_info(disk);
    uint8 *content = sector_buffer(2);

    show_blocks(disk, capacity);
    show_metadata(disk);
    check_code("Read past the end", VixDiskLib_Read(disk, capacity - 1, 2, content),
               VIX_E_DISK_OUTOFRANGE);
    free(content);
    close_disk(disk);
    return capacity;
}

static Bool progress(void *data, int percent)
{
    *(int *)data = percent;
    return TRUE;
}

static void make_local(VixDiskLibConnection connection, const char *path)
{
    VixDiskLibCreateParams create;
    int percent = -1;

    memset(&create, 0, sizeof create);
    create.diskType = VIXDISKLIB_DISK_MONOLITHIC_SPARSE;
    create.adapterType = VIXDISKLIB_ADAPTER_SCSI_LSILOGIC;
    create.hwVersion = VIXDISKLIB_HWVERSION_ESX65;
    create.capacity = LOCAL_SECTORS;
    create.logicalSectorSize = VIXDISKLIB_SECTOR_SIZE;
    create.physicalSectorSize = VIXDISKLIB_SECTOR_SIZE;
    check_code("Create", VixDiskLib_Create(connection, path, &create, progress, &percent),
               VIX_OK);
    check_that("progress never passed 100", percent <= 100);
    check_code("Create of what is there",
               VixDiskLib_Create(connection, path, &create, NULL, NULL),
               VIX_E_FILE_ALREADY_EXISTS);
}

static void local_round(const char *path)
{
    VixDiskLibConnectParams params;
    VixDiskLibConnection connection = NULL;
    VixDiskLibHandle disk = NULL;
    uint8 *content;

    memset(&params, 0, sizeof params);
    check_code("ConnectEx for local disks",
               VixDiskLib_ConnectEx(&params, FALSE, NULL, NULL, &connection), VIX_OK);
    make_local(connection, path);
    write_both_ways(connection, path);
    content = read_both_ways(connection, path, 0, 6 * CHUNK);
    check_that("what was written comes back", content[0] == 0x5A);
    check_that("what was not written is zero", content[CHUNK * VIXDISKLIB_SECTOR_SIZE] == 0);
    check_that("what was written later comes back",
               content[4 * CHUNK * VIXDISKLIB_SECTOR_SIZE] == 0xA5);
    free(content);
    check_that("the capacity is as asked for",
               show_disk(connection, path) == LOCAL_SECTORS);
    check_code("Unlink", VixDiskLib_Unlink(connection, path), VIX_OK);
    check_code("Open of what is gone", VixDiskLib_Open(connection, path, 0, &disk),
               VIX_E_FILE_NOT_FOUND);
    check_code("Disconnect", VixDiskLib_Disconnect(connection), VIX_OK);
}

static void read_of_vm(VixDiskLibConnection connection, const char *path,
                       VixDiskLibSectorType sector)
{
    uint8 *content = read_both_ways(connection, path, sector, 1);

    printf("sector %lu holds %u\n", (unsigned long)sector, (unsigned)content[0]);
    free(content);
    show_disk(connection, path);
}

static void remote_round(const VixDiskLibConnectParams *params, const char *snapshot,
                         const char *path, VixDiskLibSectorType sector)
{
    VixDiskLibConnection connection = NULL;
    uint32 cleaned = 99, remaining = 99;

    check_code("PrepareForAccess", VixDiskLib_PrepareForAccess(params, IDENTITY), VIX_OK);
    check_code("ConnectEx",
               VixDiskLib_ConnectEx(params, TRUE, snapshot, "nbdssl", &connection), VIX_OK);
    read_of_vm(connection, path, sector);
    check_code("Disconnect", VixDiskLib_Disconnect(connection), VIX_OK);
    check_code("Cleanup", VixDiskLib_Cleanup(params, &cleaned, &remaining), VIX_OK);
    check_that("nothing was left to clean up", cleaned == 0 && remaining == 0);
    check_code("EndAccess", VixDiskLib_EndAccess(params, IDENTITY), VIX_OK);
}

int main(int argc, char **argv)
{
    VixDiskLibConnectParams *params = VixDiskLib_AllocateConnectParams();
    const char *modes;

    check_that("there are connect parameters", params != NULL);
    count_functions();
    params->vmxSpec = option(argc, argv, "--vm");
    params->serverName = option(argc, argv, "--server");
    params->thumbPrint = option(argc, argv, "--thumbprint");
    params->credType = VIXDISKLIB_CRED_UID;
    params->creds.uid.userName = option(argc, argv, "--user");
    params->creds.uid.password = password();
    params->specType = VIXDISKLIB_SPEC_VMX;

    check_code("InitEx 6.5",
               VixDiskLib_InitEx(6, 5, log_line, log_line, log_line,
                                 option(argc, argv, "--libdir"), NULL),
               VIX_OK);
    modes = VixDiskLib_ListTransportModes();
    check_that("there are transports", modes != NULL);
    printf("transports: %s\n", modes);
    local_round(option(argc, argv, "--local"));
    remote_round(params, option(argc, argv, "--snapshot"), option(argc, argv, "--disk"),
                 strtoul(option(argc, argv, "--sector"), NULL, 10));
    show_error_text(VIX_E_DISK_OUTOFRANGE);
    VixDiskLib_FreeConnectParams(params);
    VixDiskLib_Exit();
    printf("done\n");
    return 0;
}
