// Makes the calls that bareos_vadp_dumper makes, in its order ("VDDK API reference", 10.3). It is
// no copy of that program and takes none of its code: it shares the sequence and nothing else.
//
//   vadp_sequence dump KIT SERVER USER PASSWORD_FILE THUMBPRINT VM SNAPSHOT DISK OUT META
//   vadp_sequence restore KIT DISK IN META
//
// OUT is a raw image, META holds each key and value of the disk database, NUL-terminated.

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include <vixDiskLib.h>
}

static const char kIdentity[] = "vadp sequence";
static const uint64 kSectorsPerCall = 1024;

static void Print(const char *level, const char *format, va_list args) {
  fputs(level, stderr);
  vfprintf(stderr, format, args);
}
static void Log(const char *format, va_list args) { Print("log: ", format, args); }
static void Warn(const char *format, va_list args) { Print("warning: ", format, args); }
static void Panic(const char *format, va_list args) {
  Print("panic: ", format, args);
  _exit(10);
}

static void Must(const char *call, VixError error) {
  if (VIX_SUCCEEDED(error)) return;
  char *text = VixDiskLib_GetErrorText(error, NULL);
  fprintf(stderr, "%s: %s [%lu]\n", call, text, static_cast<unsigned long>(error));
  VixDiskLib_FreeErrorText(text);
  _exit(1);
}

static void Check(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "failed: %s\n", what);
  _exit(1);
}

static int OpenFile(const char *path, int flags) {
  int file = open(path, flags, 0600);
  Check(file >= 0, path);
  return file;
}

static std::string Content(const char *path) {
  int file = OpenFile(path, O_RDONLY);
  std::string content;
  char buffer[4096];
  ssize_t count;
  while ((count = read(file, buffer, sizeof buffer)) > 0) content.append(buffer, count);
  close(file);
  return content;
}

// Parameters come from the library before it is started, and must be zeroed.
static VixDiskLibConnectParams *NewParams() {
  VixDiskLibConnectParams *params = VixDiskLib_AllocateConnectParams();
  Check(params != NULL, "parameters before InitEx");
  std::vector<char> zeros(sizeof *params);
  Check(memcmp(params, zeros.data(), zeros.size()) == 0, "zeroed parameters");
  return params;
}

static void Start(const char *kit) {
  Must("InitEx", VixDiskLib_InitEx(6, 5, Log, Warn, Panic, kit, NULL));
}

// The keys are asked for twice, the second time without a place for the length.
static void SaveMetadata(VixDiskLibHandle disk, const char *path) {
  size_t length = 0;
  VixError error = VixDiskLib_GetMetadataKeys(disk, NULL, 0, &length);
  Check(error == VIX_OK || error == VIX_E_BUFFER_TOOSMALL, "the size of the keys");
  std::vector<char> keys(length);
  Must("GetMetadataKeys", VixDiskLib_GetMetadataKeys(disk, keys.data(), length, NULL));
  std::string saved;
  int count = 0;
  for (const char *key = keys.data(); *key; key += strlen(key) + 1, count++) {
    error = VixDiskLib_ReadMetadata(disk, key, NULL, 0, &length);
    Check(error == VIX_OK || error == VIX_E_BUFFER_TOOSMALL, "the size of a value");
    std::vector<char> value(length);
    Must("ReadMetadata", VixDiskLib_ReadMetadata(disk, key, value.data(), length, NULL));
    saved.append(key, strlen(key) + 1).append(value.data(), length);
  }
  int file = OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC);
  Check(write(file, saved.data(), saved.size()) == static_cast<ssize_t>(saved.size()), path);
  close(file);
  printf("metadata: %d keys\n", count);
}

// Whole chunks as the library says; what lies behind the last one counts as allocated.
static std::vector<VixDiskLibBlock> Allocated(VixDiskLibHandle disk, uint64 capacity) {
  const uint64 chunk = VIXDISKLIB_MIN_CHUNK_SIZE;
  std::vector<VixDiskLibBlock> blocks;
  uint64 offset = 0, left = capacity / chunk;
  while (left > 0) {
    uint64 count = left < VIXDISKLIB_MAX_CHUNK_NUMBER ? left : VIXDISKLIB_MAX_CHUNK_NUMBER;
    VixDiskLibBlockList *list = NULL;
    Must("QueryAllocatedBlocks",
         VixDiskLib_QueryAllocatedBlocks(disk, offset, count * chunk, chunk, &list));
    blocks.insert(blocks.end(), list->blocks, list->blocks + list->numBlocks);
    Must("FreeBlockList", VixDiskLib_FreeBlockList(list));
    offset += count * chunk;
    left -= count;
  }
  if (offset < capacity) blocks.push_back(VixDiskLibBlock{offset, capacity - offset});
  return blocks;
}

static int Dump(char **argument) {
  VixDiskLibConnectParams *params = NewParams();
  Start(argument[0]);
  std::string password = Content(argument[3]);
  password.erase(password.find_last_not_of('\n') + 1);
  params->specType = VIXDISKLIB_SPEC_VMX;
  params->vmxSpec = strdup(argument[5]);
  params->serverName = strdup(argument[1]);
  params->thumbPrint = strdup(argument[4]);
  params->credType = VIXDISKLIB_CRED_UID;
  params->creds.uid.userName = strdup(argument[2]);
  params->creds.uid.password = strdup(password.c_str());
  params->port = 0;
  Must("PrepareForAccess", VixDiskLib_PrepareForAccess(params, kIdentity));
  VixDiskLibConnection connection = NULL;
  Must("ConnectEx", VixDiskLib_ConnectEx(params, TRUE, argument[6], NULL, &connection));
  uint32 cleaned = 7, remaining = 7;
  Must("Cleanup", VixDiskLib_Cleanup(params, &cleaned, &remaining));
  VixDiskLibHandle disk = NULL;
  Must("Open", VixDiskLib_Open(connection, argument[7], VIXDISKLIB_FLAG_OPEN_READ_ONLY, &disk));
  VixDiskLibInfo *info = NULL;
  Must("GetInfo", VixDiskLib_GetInfo(disk, &info));
  printf("transport: %s\n", VixDiskLib_GetTransportMode(disk));
  SaveMetadata(disk, argument[9]);

  int out = OpenFile(argument[8], O_WRONLY | O_CREAT | O_TRUNC);
  std::vector<uint8> buffer(kSectorsPerCall * VIXDISKLIB_SECTOR_SIZE);
  for (const VixDiskLibBlock &block : Allocated(disk, info->capacity)) {
    for (uint64 done = 0; done < block.length;) {
      uint64 left = block.length - done;
      uint64 count = left < kSectorsPerCall ? left : kSectorsPerCall;
      uint64 sector = block.offset + done;
      Must("Read", VixDiskLib_Read(disk, sector, count, buffer.data()));
      ssize_t bytes = count * VIXDISKLIB_SECTOR_SIZE;
      Check(pwrite(out, buffer.data(), bytes, sector * VIXDISKLIB_SECTOR_SIZE) == bytes, "pwrite");
      done += count;
    }
  }
  Check(close(out) == 0, "close");

  // The information is freed after its disk was closed, the connection ends after that.
  Must("Close", VixDiskLib_Close(disk));
  printf("capacity: %lu\n", static_cast<unsigned long>(info->capacity));
  VixDiskLib_FreeInfo(info);
  Must("Disconnect", VixDiskLib_Disconnect(connection));
  Must("Cleanup", VixDiskLib_Cleanup(params, &cleaned, &remaining));
  Must("EndAccess", VixDiskLib_EndAccess(params, kIdentity));
  char **texts[] = {&params->vmxSpec, &params->serverName, &params->creds.uid.userName,
                    &params->creds.uid.password, &params->thumbPrint};
  for (char **text : texts) {
    free(*text);
    *text = NULL;
  }
  VixDiskLib_FreeConnectParams(params);
  VixDiskLib_Exit();
  return 0;
}

static int Restore(char **argument) {
  // Before the start, and without parameters: a slip of that program which must be survived.
  uint32 cleaned, remaining;
  VixDiskLib_Cleanup(NULL, &cleaned, &remaining);
  VixDiskLibConnectParams *params = NewParams();
  Start(argument[0]);
  VixDiskLibConnection connection = NULL;
  Must("ConnectEx", VixDiskLib_ConnectEx(params, FALSE, NULL, NULL, &connection));
  struct stat facts;
  Check(stat(argument[2], &facts) == 0, argument[2]);
  VixDiskLibCreateParams create;
  create.adapterType = VIXDISKLIB_ADAPTER_SCSI_BUSLOGIC;
  create.capacity = facts.st_size / VIXDISKLIB_SECTOR_SIZE;
  create.diskType = VIXDISKLIB_DISK_MONOLITHIC_SPARSE;
  create.logicalSectorSize = VIXDISKLIB_SECTOR_SIZE;
  create.physicalSectorSize = VIXDISKLIB_SECTOR_SIZE;
  create.hwVersion = 7;
  Must("Create", VixDiskLib_Create(connection, argument[1], &create, NULL, NULL));
  VixDiskLibHandle disk = NULL;
  Must("Open", VixDiskLib_Open(connection, argument[1], 0, &disk));
  VixDiskLibInfo *info = NULL;
  Must("GetInfo", VixDiskLib_GetInfo(disk, &info));
  Check(info->capacity == create.capacity, "the capacity");

  std::string saved = Content(argument[3]);
  for (const char *key = saved.data(); key < saved.data() + saved.size();) {
    const char *value = key + strlen(key) + 1;
    Must(key, VixDiskLib_WriteMetadata(disk, key, value));
    key = value + strlen(value) + 1;
  }
  // The disk was opened here and is written to by another thread.
  std::thread copier([&] {
    int in = OpenFile(argument[2], O_RDONLY);
    std::vector<uint8> buffer(kSectorsPerCall * VIXDISKLIB_SECTOR_SIZE);
    ssize_t bytes;
    for (uint64 sector = 0; (bytes = read(in, buffer.data(), buffer.size())) > 0;) {
      uint64 count = bytes / VIXDISKLIB_SECTOR_SIZE;
      Must("Write", VixDiskLib_Write(disk, sector, count, buffer.data()));
      sector += count;
    }
    close(in);
  });
  copier.join();
  VixDiskLib_FreeInfo(info);
  Must("Close", VixDiskLib_Close(disk));
  Must("Disconnect", VixDiskLib_Disconnect(connection));
  VixDiskLib_FreeConnectParams(params);
  VixDiskLib_Exit();
  printf("restored\n");
  return 0;
}

int main(int count, char **argument) {
  int code = 2;
  if (count == 12 && strcmp(argument[1], "dump") == 0) code = Dump(argument + 2);
  if (count == 6 && strcmp(argument[1], "restore") == 0) code = Restore(argument + 2);
  fflush(NULL);
  _exit(code);
}
