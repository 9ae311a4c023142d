import { boolean, declaring, integer, list, oneOf, string } from '../option.ts';

const option = declaring('DEFAULT', 'oslo_log/_options.py');
const STDERR = 'the log goes to standard error, where systemd and container runtimes collect it';
const FORMAT = 'log lines have one form of their own, JSON unless a terminal reads them';
const unused = { unused: STDERR };

/** oslo.log's options. Neutron's agents take most of them on the command line too. */
export const loggingOptions = [
  option('debug', boolean, false, 'log what happens in detail', { flag: '--debug' }),
  option('log_file', string(), null, 'file for the log', {
    ...unused,
    flag: '--log-file',
    formerly: [{ name: 'logfile' }],
  }),
  option('log_dir', string(), null, 'directory of a relative log_file', {
    ...unused,
    flag: '--log-dir',
    formerly: [{ name: 'logdir' }],
  }),
  option('log_config_append', string(), null, "configuration file of Python's logging", {
    unused: 'it configures the Python logging module',
    flag: '--log-config-append',
    formerly: [{ name: 'log_config' }],
  }),
  option('log_date_format', string(), '%Y-%m-%d %H:%M:%S', 'form of times in the log', {
    unused: FORMAT,
    flag: '--log-date-format',
  }),
  option('use_stderr', boolean, false, 'log to standard error', unused),
  option('use_syslog', boolean, false, 'log to syslog', { ...unused, flag: '--use-syslog' }),
  option('use_journal', boolean, false, 'log to the journal', { ...unused, flag: '--use-journal' }),
  option('use_json', boolean, false, 'log JSON', { unused: FORMAT, flag: '--use-json' }),
  option('use_eventlog', boolean, false, 'log to the event log of Windows', unused),
  option('syslog_log_facility', string(), 'LOG_USER', 'facility of syslog', {
    ...unused,
    flag: '--syslog-log-facility',
  }),
  option('watch_log_file', boolean, false, 'open the log file anew when it was moved', {
    ...unused,
    flag: '--watch-log-file',
  }),
  option('log_rotation_type', oneOf('interval', 'size', 'none'), 'none', 'when to rotate', unused),
  option('log_rotate_interval', integer(), 1, 'units of time between rotations', unused),
  option('log_rotate_interval_type', string(), 'days', 'unit of time', unused),
  option('max_logfile_count', integer(), 30, 'rotated files to keep', unused),
  option('max_logfile_size_mb', integer(), 200, 'size of a file that is rotated', unused),
  option('logging_context_format_string', string(), null, 'form of lines of a request', { unused: FORMAT }),
  option('logging_default_format_string', string(), null, 'form of other lines', { unused: FORMAT }),
  option('logging_debug_format_suffix', string(), null, 'end of debug lines', { unused: FORMAT }),
  option('logging_exception_prefix', string(), null, 'start of exceptions', { unused: FORMAT }),
  option('logging_user_identity_format', string(), null, 'form of users', { unused: FORMAT }),
  option('instance_format', string(), null, 'form of instances', { unused: FORMAT }),
  option('instance_uuid_format', string(), null, 'form of instance ids', { unused: FORMAT }),
  option('default_log_levels', list(), [], 'levels of Python packages', {
    unused: 'it names Python packages',
  }),
  option('publish_errors', boolean, false, 'send errors as notifications', {
    unused: 'agents send no notifications',
  }),
  option('rate_limit_interval', integer(), 0, 'seconds of a rate limit of the log', { unused: FORMAT }),
  option('rate_limit_burst', integer(), 0, 'lines in that time', { unused: FORMAT }),
  option('rate_limit_except_level', string(), 'CRITICAL', 'level without limit', { unused: FORMAT }),
  option('fatal_deprecations', boolean, false, 'deprecations are errors', {
    unused: 'old names are accepted and named in one warning',
  }),
];
