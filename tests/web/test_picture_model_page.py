"""The model page of a model of pictures, over what training and a pass really published."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from perennial.jobs.page import publish_page
from perennial.jobs.watch import run_pass
from perennial.registry.registry import Registry
from perennial.store import memory_store
from tests.support.watched_pictures import NOW, dark, open_pets
from tests.web.conftest import Watch
from tests.web.test_form_access import LOOKS, violations
from tests.web.web_harness import SiteHost


@pytest.fixture(scope="module")
def pets_page(host: SiteHost, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Where the page is, and the version it tells of: its pictures became dark."""
    store = memory_store()
    pets = open_pets(store, tmp_path_factory.mktemp("pets"))
    pets.tell(pets.serve(120, changed=dark))
    run_pass(pets.workspace(), html=False)
    url = host.publish("http://127.0.0.1:9")
    publish_page(store, host.store(url), pets.spec.name, NOW)
    head = Registry(store).head(pets.spec.name)
    assert head is not None
    return f"{url.replace('index.html', 'model.html')}#{pets.spec.name}", head.version


@pytest.mark.parametrize("look", ["light", "dark-phone"])
def test_it_tells_how_a_model_of_pictures_is_doing(
    watch: Watch, pets_page: tuple[str, str], axe: str, look: str
) -> None:
    url, version = pets_page
    page = watch(url, **LOOKS[look])
    now = page.get_by_role("region", name="Now", exact=True)
    expect(now).to_contain_text(version[:8])
    expect(now).to_contain_text("3 of 5 features moved")
    expect(page.get_by_text("brightness").first).to_be_attached()
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "jpg" not in page.content()  # whoever opens the page sees no picture that was landed
