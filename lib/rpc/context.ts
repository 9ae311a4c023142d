/** The request context of a message, keys without their `_context_` prefix. */
export type RequestContext = Readonly<Record<string, unknown>>;

const PREFIX = '_context_';

const NULLS = [
  ...[
    'user',
    'user_id',
    'user_name',
    'project',
    'project_id',
    'project_name',
    'tenant',
    'tenant_id',
    'tenant_name',
  ],
  ...[
    'domain',
    'user_domain',
    'project_domain',
    'system_scope',
    'auth_token',
    'resource_uuid',
    'global_request_id',
  ],
];

/**
 * The admin context an agent speaks with (`neutron_lib/context.py`, `oslo_context/context.py`); good for Zed and
 * for master.
 * @param requestId 'req-<uuid>', kept for one logical operation so that operators can follow it in the server's log
 */
export function agentContext(now: Date, requestId: string): RequestContext {
  return {
    ...Object.fromEntries(NULLS.map((key) => [key, null])),
    is_admin: true,
    is_admin_project: true,
    roles: ['admin', 'member', 'reader'],
    request_id: requestId,
    timestamp: `${now.toISOString().replace('T', ' ').replace('Z', '')}000`,
    read_only: false,
    show_deleted: false,
    user_identity: '- - - - -',
    has_global_access: true,
    can_set_project_id: true,
  };
}

/** As keys of a message. */
export function contextKeys(context: RequestContext): Record<string, unknown> {
  return Object.fromEntries(Object.entries(context).map(([key, value]) => [PREFIX + key, value]));
}

/** Of the keys of a message. */
export function contextOf(message: Readonly<Record<string, unknown>>): RequestContext {
  return Object.fromEntries(
    Object.entries(message)
      .filter(([key]) => key.startsWith(PREFIX))
      .map(([key, value]) => [key.slice(PREFIX.length), value]),
  );
}
