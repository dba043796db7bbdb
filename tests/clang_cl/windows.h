typedef void *HANDLE;
typedef union {
    long long QuadPart;
} LARGE_INTEGER;
#define ALL_PROCESSOR_GROUPS 0xffff
int CloseHandle(HANDLE);
int QueryPerformanceCounter(LARGE_INTEGER *);
int QueryPerformanceFrequency(LARGE_INTEGER *);
int SwitchToThread(void);
void Sleep(unsigned long);
unsigned long GetActiveProcessorCount(unsigned short);
