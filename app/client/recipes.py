"""The part of the client that keeps recipes."""

from typing import Any
from urllib.parse import quote

from app.client.speaking import Connection
from app.recipe_book.schemas import RecipeFieldOut, RecipeImportedOut, RecipeOut


class RecipeClient(Connection):
    """What the server can be asked of recipes."""

    def recipes(self) -> list[RecipeOut]:
        """The recipes that the server offers."""
        return self._all(RecipeOut, "GET", "/api/v1/recipes")

    def recipe_fields(self) -> list[RecipeFieldOut]:
        """What recipes may set, each field explained in the reader's language."""
        return self._all(RecipeFieldOut, "GET", "/api/v1/recipe-fields")

    def recipe(self, name: str) -> RecipeOut:
        """One recipe."""
        return self._one(RecipeOut, "GET", _path(name))

    def add_recipe(self, body: dict[str, Any]) -> RecipeOut:
        """Save a new recipe."""
        return self._one(RecipeOut, "POST", "/api/v1/recipes", json=body)

    def change_recipe(self, name: str, body: dict[str, Any]) -> RecipeOut:
        """Change an own or a shared recipe, of which the body names the version that was seen."""
        return self._one(RecipeOut, "PATCH", _path(name), json=body)

    def import_recipe(self, body: dict[str, Any]) -> RecipeImportedOut:
        """Save what a file says as a recipe."""
        return self._one(RecipeImportedOut, "POST", "/api/v1/recipes/import", json=body)

    def export_recipe(self, name: str) -> str:
        """A recipe as YAML."""
        return self._text(f"{_path(name)}/export")

    def delete_recipe(self, name: str) -> None:
        """Forget a recipe."""
        self._ask("DELETE", _path(name))


def _path(name: str) -> str:
    return f"/api/v1/recipes/{quote(name, safe='')}"
