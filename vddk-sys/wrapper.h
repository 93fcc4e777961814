/* What bindgen reads: one header, ours or (VDDK_INCLUDE_DIR) that of a real kit. */
#include "vixDiskLib.h"
