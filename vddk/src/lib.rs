//! Safe layer over VMware's VixDiskLib: typed order of calls, aligned buffers, asynchronous reads.
