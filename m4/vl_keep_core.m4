# VL_KEEP_CORE
# ------------
# After every test configure removes "core", which it takes for the dump of a
# program that crashed.  Ours is a folder: rm would complain each time, and the
# clean-up at the end would stop there.  So rm is not shown that name.
AC_DEFUN([VL_KEEP_CORE],
[rm ()
{
  for vl_name
  do
    shift
    test "x$vl_name" = xcore || set -- "$[]@" "$vl_name"
  done
  command rm "$[]@"
}])
