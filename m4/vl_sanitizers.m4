# VL_SANITIZERS
# -------------
# The switches --enable-asan, --enable-ubsan and --enable-tsan.  Sets
# vl_sanitized to yes or no, and VL_SANITIZER_FLAGS for compiler and linker.
AC_DEFUN([VL_SANITIZERS],
[VL_ENABLE([asan], [find memory errors (not with --enable-tsan)])
VL_ENABLE([ubsan], [find undefined behaviour])
VL_ENABLE([tsan], [find data races (not with --enable-asan)])
AS_IF([test "$enable_asan$enable_tsan" = yesyes],
  [AC_MSG_ERROR([--enable-asan and --enable-tsan exclude each other: build twice])])
VL_SANITIZER_FLAGS=
AS_IF([test "$enable_asan" = yes], [_VL_SANITIZER([address])])
AS_IF([test "$enable_tsan" = yes], [_VL_SANITIZER([thread])])
AS_IF([test "$enable_ubsan" = yes],
  [_VL_SANITIZER([undefined])
   VL_SANITIZER_FLAGS="$VL_SANITIZER_FLAGS -fno-sanitize-recover=undefined"])
AS_IF([test -n "$VL_SANITIZER_FLAGS"],
  [vl_sanitized=yes
   VL_SANITIZER_FLAGS="$VL_SANITIZER_FLAGS -fno-omit-frame-pointer"],
  [vl_sanitized=no])])

# _VL_SANITIZER(NAME)
# -------------------
# Adds one to VL_SANITIZER_FLAGS; it was asked for, so it must link.
AC_DEFUN([_VL_SANITIZER],
[AC_MSG_CHECKING([whether -fsanitize=$1 works])
vl_saved_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS -fsanitize=$1"
AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
  [AC_MSG_RESULT([yes])
   VL_SANITIZER_FLAGS="$VL_SANITIZER_FLAGS -fsanitize=$1"],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([$CC cannot link with -fsanitize=$1])])
CFLAGS=$vl_saved_CFLAGS])
