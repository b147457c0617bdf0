# VL_RUNTIME_LIBRARY(NAME, HEADER, LINK-NAME, DEBIAN-PACKAGE, PURPOSE)
# --------------------------------------------------------------------
# A library that is compiled against and loaded with dlopen, never linked.
# Adds the switch --without-NAME, defines HAVE_NAME and VL_NAME_SONAME (the
# name to load), and sets vl_soname_NAME for the summary.
AC_DEFUN([VL_RUNTIME_LIBRARY],
[AC_ARG_WITH([$1], [AS_HELP_STRING([--without-$1], [do without $1 ($5)])],
  [AS_CASE([$withval], [yes | no], [],
    [AC_MSG_ERROR([--with-$1 takes yes or no, not $withval])])],
  [with_$1=yes])
vl_soname_$1="not used"
AS_IF([test "$with_$1" = yes],
  [AC_CHECK_HEADER([$2], [], [_VL_LIBRARY_MISSING([$1], [the header $2], [$4])])
   AC_MSG_CHECKING([for the file that -l$3 loads])
   vl_saved_LIBS=$LIBS
   LIBS="-Wl,--no-as-needed -l$3 $LIBS"
   AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
     [vl_soname_$1=`$READELF -d conftest$EXEEXT | \
        $SED -n 's/.*(NEEDED).*\@<:@\(lib$3@<:@.-@:>@.*\)\@:>@.*/\1/p' | $SED 1q`],
     [vl_soname_$1=])
   LIBS=$vl_saved_LIBS
   AC_MSG_RESULT([${vl_soname_$1:-none}])
   AS_IF([test -z "$vl_soname_$1"], [_VL_LIBRARY_MISSING([$1], [the library], [$4])])
   AC_DEFINE(AS_TR_CPP([HAVE_$1]), [1], [Define to 1 to use $1.])
   AC_DEFINE_UNQUOTED(AS_TR_CPP([VL_$1_SONAME]), ["$vl_soname_$1"],
     [The file name under which $1 is loaded.])])])

# _VL_LIBRARY_MISSING(NAME, WHAT, DEBIAN-PACKAGE)
# -----------------------------------------------
AC_DEFUN([_VL_LIBRARY_MISSING],
[AC_MSG_ERROR([$1: $2 is missing.
  Install it (Debian package $3), or build without it: --without-$1])])
