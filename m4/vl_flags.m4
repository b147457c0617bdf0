# VL_COMPILE_FLAGS(VARIABLE, FLAGS)
# ---------------------------------
# Appends to VARIABLE each of FLAGS that the compiler takes without a word.
# Every flag is tried alone: one that is unknown must not hide the others.
AC_DEFUN([VL_COMPILE_FLAGS],
[for vl_flag in m4_normalize([$2]); do
  AC_MSG_CHECKING([whether $CC takes $vl_flag])
  vl_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $vl_flag"
  AC_COMPILE_IFELSE([AC_LANG_SOURCE([int vl_flag_is_known;])],
    [AC_MSG_RESULT([yes])
     $1="${$1:+$$1 }$vl_flag"],
    [AC_MSG_RESULT([no])])
  CFLAGS=$vl_saved_CFLAGS
done])

# VL_LINK_FLAGS(VARIABLE, FLAGS)
# ------------------------------
# The same for the linker.
AC_DEFUN([VL_LINK_FLAGS],
[for vl_flag in m4_normalize([$2]); do
  AC_MSG_CHECKING([whether the linker takes $vl_flag])
  vl_saved_LDFLAGS=$LDFLAGS
  LDFLAGS="$LDFLAGS -Werror $vl_flag"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes])
     $1="${$1:+$$1 }$vl_flag"],
    [AC_MSG_RESULT([no])])
  LDFLAGS=$vl_saved_LDFLAGS
done])
