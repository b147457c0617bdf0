# VL_ENABLE(NAME, HELP)
# ---------------------
# A switch --enable-NAME, off unless given; sets enable_NAME to yes or no.
AC_DEFUN([VL_ENABLE],
[AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [$2])],
  [AS_CASE([$enableval], [yes | no], [],
    [AC_MSG_ERROR([--enable-$1 takes yes or no, not $enableval])])],
  [enable_$1=no])])
