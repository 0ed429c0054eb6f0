# Runs before the package is written: folders are as they are on every system, whatever the umask of
# whoever builds. A package with /usr for its owner alone would lock a system.
execute_process(
  COMMAND find ${CPACK_TEMPORARY_DIRECTORY} -type d -exec chmod 755 {} +
  COMMAND_ERROR_IS_FATAL ANY)
