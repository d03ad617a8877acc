"""What the documentation promises of tokens, written as plainly as it is said there.

Knows nothing of rows, generations or stores: each token remembers when it was
replaced and whether its successor was seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Token:
    """One token of a session, in the order they were made."""

    made_at: float
    retired: bool = False
    """Ended on purpose, by a refresh."""
    successor_seen_at: float | None = None

    def honoured(self, now: float, grace: float) -> bool:
        """Whether a replaced token is still good: until its successor was seen, and the grace."""
        return self.successor_seen_at is None or now < self.successor_seen_at + grace


@dataclass
class Session:
    """One session and all its tokens."""

    username: str
    expires_at: float
    ends_at: float
    shared: bool = False
    tokens: list[Token] = field(default_factory=list)
    reach: int = 1
    """How many predecessors are honoured: two where a rotation fell into an open overlap."""
    team: int | None = None
    """A claim."""

    @property
    def current(self) -> int:
        return len(self.tokens) - 1


class Model:
    """All sessions, and what each request on them must come to."""

    def __init__(
        self,
        timeout: float,
        lifetime: float,
        rotate_after: float,
        grace: float,
        now: float,
        *,
        extends: bool,
    ) -> None:
        self.timeout, self.lifetime = timeout, lifetime
        self.rotate_after, self.grace = rotate_after, grace
        self.extends = extends
        """Whether each request extends: tokens state no end."""
        self.now = now
        self.sessions: dict[int, Session] = {}
        self.replays = 0
        self._next = 0

    def live(self) -> dict[int, Session]:
        return {key: one for key, one in self.sessions.items() if self.now < one.expires_at}

    def login(self, username: str) -> int:
        self._next += 1
        ends_at = self.now + self.lifetime
        session = Session(username, min(self.now + self.timeout, ends_at), ends_at)
        session.tokens.append(Token(self.now))
        self.sessions[self._next] = session
        return self._next

    def reuse(self, username: str) -> int:
        # With the same claims: none.
        live = self.live().items()
        mine = [key for key, one in live if one.username == username and one.team is None]
        if not mine:
            return self.login(username)
        session = self.sessions[mine[-1]]
        if not session.shared:
            for index, token in enumerate(session.tokens):
                token.retired = token.retired or not self._honoured(session, index)
        session.shared = True
        return mine[-1]

    def accept(self, key: int, index: int) -> bool:
        """Whether a token is good; one that is stale ends its session."""
        session = self.sessions.get(key)
        if session is None or self.now >= session.expires_at:
            self.sessions.pop(key, None)
            return False
        token = session.tokens[index]
        if index == session.current:
            if index > 0 and session.tokens[index - 1].successor_seen_at is None:
                session.tokens[index - 1].successor_seen_at = self.now
            return True
        if token.retired:
            return False
        if session.shared:
            return True
        if self._honoured(session, index):
            return True
        self.replays += 1
        del self.sessions[key]
        return False

    def request(self, key: int, index: int) -> tuple[bool, int | None]:
        """A request through the middleware: whether it is let in, and the token it brings back."""
        session = self.sessions.get(key)
        # Whether the overlap is open has to be known before this request closes it.
        open_overlap = session is not None and self._overlap(session)
        if not self.accept(key, index) or session is None:
            return False, None
        due = self.now - session.tokens[index].made_at >= self.rotate_after
        if index == session.current and due and not session.shared:
            session.reach = 2 if open_overlap else 1
            self._renew(session)
            return True, session.current
        if self.extends and index == session.current and not session.shared:
            self._extend(session)
        return True, None if session.shared or index == session.current else session.current

    def update(self, key: int, index: int, team: int) -> bool:
        session = self.sessions.get(key)
        open_overlap = session is not None and self._overlap(session)
        if not self.accept(key, index) or session is None:
            return False
        if session.team != team:
            self._change(session, team, open_overlap=open_overlap)
            self._extend(session)
        return True

    def update_user(self, username: str, team: int) -> int:
        mine = [one for one in self.live().values() if one.username == username]
        for session in mine:
            if session.team != team:
                self._change(session, team, open_overlap=self._overlap(session))
        return len(mine)

    def _change(self, session: Session, team: int, *, open_overlap: bool) -> None:
        session.team = team
        session.reach = session.reach + 1 if open_overlap else 1
        session.tokens.append(Token(self.now))

    def refresh(self, key: int, index: int) -> bool:
        if not self.accept(key, index):
            return False
        session = self.sessions[key]
        for token in session.tokens:
            token.retired = True
        session.shared, session.reach = False, 1
        self._renew(session)
        session.tokens[-2].successor_seen_at = self.now - self.grace
        return True

    def logout(self, key: int, index: int) -> bool:
        good = self.accept(key, index)
        self.sessions.pop(key, None) if good else None
        return good

    def revoke(self, username: str, keep: int | None) -> int:
        live = self.live()
        gone = [key for key, one in live.items() if one.username == username and key != keep]
        for key in gone:
            del self.sessions[key]
        return len(gone)

    def _honoured(self, session: Session, index: int) -> bool:
        if index == session.current:
            return True
        last = session.tokens[session.current - 1]
        return session.current - index <= session.reach and last.honoured(self.now, self.grace)

    def _overlap(self, session: Session) -> bool:
        if session.current == 0 or session.tokens[session.current - 1].retired:
            return False
        return session.tokens[session.current - 1].honoured(self.now, self.grace)

    def _renew(self, session: Session) -> None:
        session.tokens.append(Token(self.now))
        self._extend(session)

    def _extend(self, session: Session) -> None:
        session.expires_at = min(self.now + self.timeout, session.ends_at)
