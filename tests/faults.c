/* Deliberate faults, one for each kind that `make sanitize` finds. The argument names the fault. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int shared;
static void *add(void *unused)
{
    shared++;
    return unused;
}

int main(int count, char **arguments)
{
    const char *fault = count == 2 ? arguments[1] : "";
    volatile int one = 1;
    int *volatile numbers = malloc(8 * sizeof *numbers);
    int result = 0;
    if (!strcmp(fault, "read"))
        result = numbers[7 + one];
    else if (!strcmp(fault, "write"))
        numbers[7 + one] = 1;
    else if (!strcmp(fault, "overflow"))
        result = INT_MAX + one;
    else if (!strcmp(fault, "unset"))
        result = numbers[one] > 0 ? 3 : 4;
    else if (!strcmp(fault, "leak"))
        numbers = NULL;
    else if (!strcmp(fault, "race")) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, add, NULL))
            return 2;
        add(NULL);
        pthread_join(thread, NULL);
    }
    free(numbers);
    printf("%d\n", result);
    return 0;
}
