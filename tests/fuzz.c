/* Random cases, for the sanitizers. Usage: fuzz jobs|windows|items NUMBER. */
#include "fuzz_items.h"

static uint64_t random64(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 7 ^ state << 57;
}

int main(int argc, char **argv)
{
    const int number = argc == 3 ? atoi(argv[2]) : 0;
    if (!number)
        return 5;
    return !strcmp(argv[1], "items") ? items(number) : !strcmp(argv[1], "windows") ? windows(number) : jobs(number);
}
