/*
 * Compiler attributes and the one clean-up idiom of the project.
 */
#ifndef OV_ENGINE_BASE_ATTR_H
#define OV_ENGINE_BASE_ATTR_H

#define OV_MUST_CHECK __attribute__((warn_unused_result))
#define OV_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/*
 * OV_AUTO(free_fn) calls free_fn(&variable) when the variable leaves scope.
 * Initialise the variable where it is declared.
 */
#define OV_AUTO(fn) __attribute__((cleanup(fn)))

/* Takes the pointer out of a variable under OV_AUTO, leaving NULL behind. */
#define ov_steal(ptr)                       \
    __extension__({                         \
        __typeof__(ptr) ov_stolen_ = (ptr); \
        (ptr) = NULL;                       \
        ov_stolen_;                         \
    })

/* Defines name(T **) for OV_AUTO from a function that frees a T and accepts NULL. */
#define OV_DEFINE_AUTO(name, type, fn) \
    static inline void name(type **p)  \
    {                                  \
        fn(*p);                        \
    }

#define OV_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
