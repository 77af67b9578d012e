/*
 * Preloaded into user-mode Linux, so that it boots on processors with AMX.
 *
 * Its buffer for a process's extended registers (NT_X86_XSTATE) ends before the registers of AMX, 2,696 of 11,008 bytes. Reading with
 * ptrace into a short buffer works, but writing from one is refused, and the kernel panics at boot: "ptrace set fp regs failed,
 * errno = 14" (arch/x86/um/os-Linux/registers.c of 6.1). So a write is completed here with what the process has beyond the buffer:
 * AMX registers, which nothing inside the machine may use.
 */
struct iovec {
  void *base;
  unsigned long length;
};

enum { PTRACE_GETREGSET = 0x4204, PTRACE_SETREGSET = 0x4205, NT_X86_XSTATE = 0x202 };

void *dlsym(void *handle, const char *name);
void *memcpy(void *to, const void *from, unsigned long length);

long ptrace(long request, long pid, void *address, void *data) {
  static char whole[65536];
  static long (*next)(long, long, void *, void *);
  if (!next) next = dlsym((void *)-1 /* RTLD_NEXT */, "ptrace");
  struct iovec *given = data;
  if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE) {
    struct iovec all = {whole, sizeof whole};
    long failed = next(PTRACE_GETREGSET, pid, address, &all);
    if (failed) return failed;
    if (given->length < all.length) {
      memcpy(whole, given->base, given->length);
      return next(request, pid, address, &all);
    }
  }
  return next(request, pid, address, data);
}
